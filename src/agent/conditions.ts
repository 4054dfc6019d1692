import type { ContainerStatus, PodCondition } from "../api/v1/pod-status.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { PodFacts } from "./facts.ts";
import { incompleteInits, isInitialized } from "./plan.ts";
import { timeText } from "./time.ts";

type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

interface Verdict {
  readonly type: string;
  readonly isTrue: boolean;
  readonly reason?: string;
  readonly message?: string;
}

/** The conditions that the agent owns, and those of others (readiness gates) as they are. */
export function conditionsOf(
  pod: Pod,
  facts: PodFacts,
  phase: Phase,
  statuses: readonly ContainerStatus[],
  nowMs: number,
): readonly PodCondition[] {
  const ready = containersReady(phase, statuses);
  const verdicts: readonly Verdict[] = [
    { type: "PodReadyToStartContainers", isTrue: phase === "Pending" || phase === "Running" },
    initialized(pod, facts, phase),
    ready.isTrue ? gatesReady(pod) : { ...ready, type: "Ready" },
    ready,
    { type: "PodScheduled", isTrue: true },
    ...disruptions(facts),
  ];
  const own = new Set(verdicts.map(({ type }) => type));
  const others = (pod.status?.conditions ?? []).filter(({ type }) => !own.has(type));
  return [...verdicts.map((verdict) => conditionOf(pod, verdict, nowMs)), ...others];
}

function conditionOf(pod: Pod, verdict: Verdict, nowMs: number): PodCondition {
  const old = pod.status?.conditions?.find(({ type }) => type === verdict.type);
  const status = verdict.isTrue ? "True" : "False";
  return {
    type: verdict.type,
    status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    ...(verdict.message === undefined ? {} : { message: verdict.message }),
    lastTransitionTime:
      old?.status === status && old.lastTransitionTime !== undefined
        ? old.lastTransitionTime
        : timeText(nowMs),
  };
}

function initialized(pod: Pod, facts: PodFacts, phase: Phase): Verdict {
  const type = "Initialized";
  if (phase === "Succeeded") return { type, isTrue: true, reason: "PodCompleted" };
  if (isInitialized(pod, facts)) return { type, isTrue: true };
  return {
    type,
    isTrue: false,
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${incompleteInits(pod, facts).join(" ")}]`,
  };
}

function containersReady(phase: Phase, statuses: readonly ContainerStatus[]): Verdict {
  const type = "ContainersReady";
  if (phase === "Succeeded") return { type, isTrue: false, reason: "PodCompleted" };
  if (phase === "Failed") return { type, isTrue: false, reason: "PodFailed" };
  const unready = statuses.filter(({ ready }) => !ready).map(({ name }) => name);
  if (unready.length === 0) return { type, isTrue: true };
  const message = `containers with unready status: [${unready.join(" ")}]`;
  return { type, isTrue: false, reason: "ContainersNotReady", message };
}

/** A Pod that its node has go is taken by controllers for one that did not fail by itself. */
function disruptions({ eviction: message }: PodFacts): readonly Verdict[] {
  if (message === undefined) return [];
  return [{ type: "DisruptionTarget", isTrue: true, reason: "TerminationByKubelet", message }];
}

/** EPS-024: all containers ready and every readiness gate's condition True. */
function gatesReady(pod: Pod): Verdict {
  const problems: string[] = [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const found = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (found === undefined)
      problems.push(
        `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
      );
    else if (found.status !== "True")
      problems.push(
        `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`,
      );
  }
  if (problems.length === 0) return { type: "Ready", isTrue: true };
  const reason = "ReadinessGatesNotReady";
  return { type: "Ready", isTrue: false, reason, message: problems.join(", ") };
}
