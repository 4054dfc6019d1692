import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
} from "../../api/apps/deployment.ts";
import type { ReplicaSet } from "../../api/apps/replicaset.ts";
import { formatTimeMs } from "../../api/machinery/time.ts";
import { wantedOf } from "./deployment.ts";
import { msOf } from "./pods.ts";
import { paceOf } from "./rolling.ts";

/** What has just become of the set for the current template. */
export type NewSetOutcome =
  | { readonly kind: "created"; readonly name: string }
  | { readonly kind: "failed"; readonly message: string };

export interface DeploymentStatusObserved {
  readonly deployment: Deployment;
  /** The set of the current template. */
  readonly fresh: ReplicaSet | undefined;
  readonly olds: readonly ReplicaSet[];
  readonly outcome?: NewSetOutcome | undefined;
  readonly nowMs: number;
}

export interface DeploymentStatusPlan {
  readonly status: DeploymentStatus;
  /** When the progress deadline passes. */
  readonly againAfterMs: number | undefined;
}

type Conditions = readonly DeploymentCondition[];

/** A deadline of this many seconds is none. */
const NO_DEADLINE = 2 ** 31 - 1;

/** What a Deployment's status is, by its sets' statuses. Source: upstream `deployment/progress.go`, `sync.go`. */
export function planDeploymentStatus(observed: DeploymentStatusObserved): DeploymentStatusPlan {
  const { deployment, fresh, olds, nowMs } = observed;
  const { spec, status: old = {}, metadata } = deployment;
  const { conditions: said = [] } = old;
  const time = formatTimeMs(nowMs);
  const counts = countsOf(deployment, fresh, olds);
  const deadline = spec.progressDeadlineSeconds ?? NO_DEADLINE;
  const hasDeadline = deadline !== NO_DEADLINE;
  let conditions = hasDeadline ? withEvents(observed, said, time) : without(said, "Progressing");
  conditions = withCondition(conditions, availabilityOf(deployment, counts, time));
  const result = (againAfterMs: number | undefined): DeploymentStatusPlan => ({
    status: { ...counts, ...(conditions.length === 0 ? {} : { conditions }) },
    againAfterMs,
  });
  if (spec.paused === true) return result(undefined);

  const before = find(conditions, "Progressing");
  const isSettled =
    counts.replicas === counts.updatedReplicas && before?.reason === "NewReplicaSetAvailable";
  const isComplete =
    counts.updatedReplicas === (spec.replicas ?? 1) &&
    counts.replicas === counts.updatedReplicas &&
    counts.availableReplicas === counts.updatedReplicas;
  if (hasDeadline && !isSettled) {
    const subject =
      fresh === undefined ? `Deployment "${metadata.name}"` : `ReplicaSet "${fresh.metadata.name}"`;
    if (isComplete) {
      const message = `${subject} has successfully progressed.`;
      const done = progressing("True", "NewReplicaSetAvailable", message, time);
      conditions = withCondition(conditions, done);
    } else if (isProgressing(old, counts)) {
      const message = `${subject} is progressing.`;
      const moved = progressing("True", "ReplicaSetUpdated", message, time);
      const since = before?.status === "True" ? before.lastTransitionTime : time;
      conditions = [...without(conditions, "Progressing"), { ...moved, lastTransitionTime: since }];
    } else if (isTimedOut(before, deadline, nowMs)) {
      const message = `${subject} has timed out progressing.`;
      const late = progressing("False", "ProgressDeadlineExceeded", message, time);
      conditions = withCondition(conditions, late);
    }
  }
  conditions = withReplicaFailure(conditions, fresh, olds);
  const now = find(conditions, "Progressing");
  if (!hasDeadline || isComplete || now === undefined) return result(undefined);
  if (now.reason === "ProgressDeadlineExceeded") return result(undefined);
  const leftMs = (msOf(now.lastUpdateTime) ?? nowMs) + deadline * 1000 - nowMs;
  return result(Math.max(0, leftMs) + 1000);
}

function countsOf(
  { metadata, status: old = {} }: Deployment,
  fresh: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): DeploymentStatus {
  const all = fresh === undefined ? olds : [...olds, fresh];
  const sum = (value: (set: ReplicaSet) => number | undefined): number =>
    all.reduce((total, set) => total + (value(set) ?? 0), 0);
  const available = sum(({ status }) => status?.availableReplicas);
  const { terminatingReplicas: _t, conditions: _c, ...kept } = old;
  return {
    ...kept,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    replicas: sum(({ status }) => status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(wantedOf) - available),
  };
}

/** What happened to it since: paused or resumed, a new set. */
function withEvents(
  { deployment, fresh, outcome }: DeploymentStatusObserved,
  said: Conditions,
  time: string,
): Conditions {
  const reason = find(said, "Progressing")?.reason;
  let conditions = said;
  const say = (status: "True" | "False" | "Unknown", why: string, message: string): void => {
    conditions = withCondition(conditions, progressing(status, why, message, time));
  };
  if (deployment.spec.paused === true) {
    // That it was late stays said.
    if (reason !== "ProgressDeadlineExceeded") {
      say("Unknown", "DeploymentPaused", "Deployment is paused");
    }
  } else if (reason === "DeploymentPaused") {
    say("Unknown", "DeploymentResumed", "Deployment is resumed");
  }
  if (outcome?.kind === "created") {
    say("True", "NewReplicaSetCreated", `Created new replica set "${outcome.name}"`);
  } else if (outcome?.kind === "failed") {
    say("False", "ReplicaSetCreateError", outcome.message);
  } else if (fresh !== undefined && find(conditions, "Progressing") === undefined) {
    say("True", "FoundNewReplicaSet", `Found new replica set "${fresh.metadata.name}"`);
  }
  return conditions;
}

function availabilityOf(
  { spec }: Deployment,
  { availableReplicas = 0 }: DeploymentStatus,
  time: string,
): DeploymentCondition {
  const wanted = spec.replicas ?? 1;
  const { maxSurge, maxUnavailable } = spec.strategy?.rollingUpdate ?? {};
  const mayMiss =
    spec.strategy?.type === "Recreate" || wanted === 0
      ? 0
      : paceOf(wanted, maxSurge, maxUnavailable).maxUnavailable;
  const isAvailable = availableReplicas >= wanted - mayMiss;
  return {
    type: "Available",
    status: isAvailable ? "True" : "False",
    reason: isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    message: isAvailable
      ? "Deployment has minimum availability."
      : "Deployment does not have minimum availability.",
    lastUpdateTime: time,
    lastTransitionTime: time,
  };
}

function isProgressing(old: DeploymentStatus, now: DeploymentStatus): boolean {
  const olds = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus): number =>
    replicas - updatedReplicas;
  return (
    (now.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    olds(now) < olds(old) ||
    (now.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function isTimedOut(
  before: DeploymentCondition | undefined,
  deadline: number,
  nowMs: number,
): boolean {
  if (before === undefined || before.reason === "NewReplicaSetAvailable") return false;
  if (before.reason === "ProgressDeadlineExceeded") return true;
  const since = msOf(before.lastUpdateTime);
  return since !== undefined && since + deadline * 1000 < nowMs;
}

/** Failures of the new set go before those of the old ones. */
function withReplicaFailure(
  conditions: Conditions,
  fresh: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): Conditions {
  const failure = [...(fresh === undefined ? [] : [fresh]), ...olds]
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (failure === undefined) return without(conditions, "ReplicaFailure");
  return withCondition(conditions, { ...failure, lastUpdateTime: failure.lastTransitionTime });
}

function progressing(
  status: "True" | "False" | "Unknown",
  reason: string,
  message: string,
  time: string,
): DeploymentCondition {
  return {
    type: "Progressing",
    status,
    reason,
    message,
    lastUpdateTime: time,
    lastTransitionTime: time,
  };
}

function find(conditions: Conditions, type: string): DeploymentCondition | undefined {
  return conditions.find((one) => one.type === type);
}

function without(conditions: Conditions, type: string): Conditions {
  return conditions.filter((one) => one.type !== type);
}

/** What says the same as before keeps its place and times; a status that stays keeps its time of transition. */
function withCondition(conditions: Conditions, next: DeploymentCondition): Conditions {
  const before = find(conditions, next.type);
  if (before?.status === next.status && before.reason === next.reason) return conditions;
  const since =
    before?.status === next.status ? before.lastTransitionTime : next.lastTransitionTime;
  return [...without(conditions, next.type), { ...next, lastTransitionTime: since }];
}
