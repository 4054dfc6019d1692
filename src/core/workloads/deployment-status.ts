import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
} from "../../api/apps/deployment.ts";
import type { ReplicaSet } from "../../api/apps/replicaset.ts";
import { deepEqual } from "../../api/machinery/json.ts";
import { formatTime } from "../../api/machinery/time.ts";
import { wantedOf } from "./deployment.ts";
import { msOf } from "./pods.ts";
import { paceOf } from "./rolling.ts";

export interface DeploymentStatusPlan {
  readonly status: DeploymentStatus;
  /** When the progress deadline passes. */
  readonly againAfterMs: number | undefined;
}

/** What a Deployment's status is, by its sets' statuses. */
export function planDeploymentStatus(
  deployment: Deployment,
  fresh: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
  nowMs: number,
): DeploymentStatusPlan {
  const { spec, status: old = {}, metadata } = deployment;
  const wanted = spec.replicas ?? 1;
  const all = fresh === undefined ? olds : [...olds, fresh];
  const sum = (value: (set: ReplicaSet) => number | undefined): number =>
    all.reduce((total, set) => total + (value(set) ?? 0), 0);
  const available = sum(({ status }) => status?.availableReplicas);
  const { terminatingReplicas: _t, conditions: _c, ...kept } = old;
  const counts = {
    ...kept,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    replicas: sum(({ status }) => status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(wantedOf) - available),
  };
  const { maxUnavailable } = paceOf(
    wanted,
    spec.strategy?.rollingUpdate?.maxSurge,
    spec.strategy?.rollingUpdate?.maxUnavailable,
  );
  const isRolling = spec.strategy?.type !== "Recreate";
  const isAvailable = available >= wanted - (isRolling ? maxUnavailable : 0);
  const time = formatTime({ seconds: Math.floor(nowMs / 1000), nanos: 0 });
  const before = (type: string) => old.conditions?.find((one) => one.type === type);
  const availability = condition(
    before("Available"),
    {
      type: "Available",
      status: isAvailable ? "True" : "False",
      reason: isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
      message: isAvailable
        ? "Deployment has minimum availability."
        : "Deployment does not have minimum availability.",
    },
    time,
    false,
  );
  const progress = progressOf(deployment, fresh, counts, wanted, nowMs, time);
  const others = (old.conditions ?? []).filter(
    ({ type }) => type !== "Available" && type !== "Progressing",
  );
  return {
    status: { ...counts, conditions: [...others, availability, ...progress.conditions] },
    againAfterMs: progress.againAfterMs,
  };
}

interface Progress {
  readonly conditions: readonly DeploymentCondition[];
  readonly againAfterMs: number | undefined;
}

function progressOf(
  { metadata, spec, status: old = {} }: Deployment,
  fresh: ReplicaSet | undefined,
  counts: DeploymentStatus,
  wanted: number,
  nowMs: number,
  time: string,
): Progress {
  const before = old.conditions?.find(({ type }) => type === "Progressing");
  const name = fresh?.metadata.name ?? "";
  const say = (status: string, reason: string, message: string, isNews: boolean): Progress => ({
    conditions: [condition(before, { type: "Progressing", status, reason, message }, time, isNews)],
    againAfterMs: undefined,
  });
  if (spec.paused === true) {
    return say("Unknown", "DeploymentPaused", "Deployment is paused", false);
  }
  if (before?.reason === "DeploymentPaused") {
    return say("Unknown", "DeploymentResumed", "Deployment is resumed", true);
  }
  const isComplete =
    counts.updatedReplicas === wanted &&
    counts.replicas === wanted &&
    counts.availableReplicas === wanted &&
    fresh !== undefined;
  const subject = fresh === undefined ? `Deployment "${metadata.name}"` : `ReplicaSet "${name}"`;
  if (isComplete) {
    const message = `${subject} has successfully progressed.`;
    return say("True", "NewReplicaSetAvailable", message, false);
  }
  const isProgressing =
    before === undefined ||
    before.reason === "NewReplicaSetAvailable" ||
    (counts.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    (counts.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (counts.availableReplicas ?? 0) > (old.availableReplicas ?? 0) ||
    (counts.replicas ?? 0) - (counts.updatedReplicas ?? 0) <
      (old.replicas ?? 0) - (old.updatedReplicas ?? 0);
  const deadlineMs = (spec.progressDeadlineSeconds ?? 600) * 1000;
  if (isProgressing) {
    return {
      ...say("True", "ReplicaSetUpdated", `${subject} is progressing.`, true),
      againAfterMs: deadlineMs + 1000,
    };
  }
  if (before.reason === "ProgressDeadlineExceeded") {
    return { conditions: [before], againAfterMs: undefined };
  }
  const leftMs = (msOf(before.lastUpdateTime) ?? nowMs) + deadlineMs - nowMs;
  if (leftMs <= 0) {
    const message = `${subject} has timed out progressing.`;
    return say("False", "ProgressDeadlineExceeded", message, false);
  }
  return { conditions: [before], againAfterMs: leftMs + 1000 };
}

/** The condition, with the times of the one before where it says the same. */
function condition(
  before: DeploymentCondition | undefined,
  now: DeploymentCondition,
  time: string,
  isNews: boolean,
): DeploymentCondition {
  if (before === undefined) return { ...now, lastUpdateTime: time, lastTransitionTime: time };
  const { lastUpdateTime, lastTransitionTime, ...said } = before;
  const isSame = !isNews && deepEqual(said, now);
  return {
    ...now,
    lastUpdateTime: isSame ? lastUpdateTime : time,
    lastTransitionTime: before.status === now.status ? lastTransitionTime : time,
  };
}
