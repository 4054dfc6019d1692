import { labelRequirementsOf, matchesLabels } from "../../api/machinery/label-selector.ts";
import { formatTimeMs } from "../../api/machinery/time.ts";
import type {
  PodDisruptionBudget,
  PodDisruptionBudgetStatus,
} from "../../api/policy/poddisruptionbudget.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { controllerOf, isReady, msOf } from "./pods.ts";
import { amountOf } from "./template.ts";

/** An evicted Pod that is still there after that time was kept by somebody (upstream `DeletionTimeout`). */
const DELETION_TIMEOUT_MS = 2 * 60_000;

/** What wants a number of Pods. */
export interface Scaled {
  readonly uid: string;
  readonly replicas: number;
}

export interface DisruptionObserved {
  readonly budget: PodDisruptionBudget;
  /** The Pods that the budget selects. */
  readonly pods: readonly Pod[];
  /**
   * What scales the Pods that the object of a uid controls, which is itself or what controls it, and how many Pods
   * that wants; undefined: nobody knows.
   */
  readonly scaleOf: (uid: string) => Scaled | undefined;
  readonly nowMs: number;
}

export interface DisruptionPlan {
  readonly status: PodDisruptionBudgetStatus;
  readonly againAfterMs: number | undefined;
}

/** Whether a budget is about the Pod: one without selector is about none, one with an empty selector about all. */
export function isInBudget({ metadata, spec }: PodDisruptionBudget, pod: Pod): boolean {
  if (metadata.namespace !== pod.metadata.namespace || spec.selector === undefined) return false;
  const parsed = labelRequirementsOf(spec.selector);
  return parsed.kind === "parsed" && matchesLabels(parsed.requirements, pod.metadata.labels ?? {});
}

/** How many Pods may be evicted now (upstream `disruption.go:trySync`). */
export function planDisruption(observed: DisruptionObserved): DisruptionPlan {
  const { budget, pods, nowMs } = observed;
  const { expected, desired } = expectations(observed);
  const evicted = stillGoing(budget, pods, nowMs);
  const healthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      evicted[pod.metadata.name] === undefined &&
      isReady(pod),
  ).length;
  const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const status: PodDisruptionBudgetStatus = {
    observedGeneration: budget.metadata.generation,
    ...(Object.keys(evicted).length === 0 ? {} : { disruptedPods: evicted }),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    conditions: disruptionConditions(budget, allowed, nowMs),
  };
  const times = Object.values(evicted).map(
    (time) => (msOf(time) ?? 0) + DELETION_TIMEOUT_MS - nowMs,
  );
  return { status, againAfterMs: times.length === 0 ? undefined : Math.max(0, Math.min(...times)) };
}

/** A budget's conditions, among them whether any Pod may be evicted. */
export function disruptionConditions(
  { metadata, status }: PodDisruptionBudget,
  allowed: number,
  nowMs: number,
): NonNullable<PodDisruptionBudgetStatus["conditions"]> {
  const said = allowed > 0 ? "True" : "False";
  const all = status?.conditions ?? [];
  const old = all.find(({ type }) => type === "DisruptionAllowed");
  const condition = {
    type: "DisruptionAllowed",
    status: said,
    observedGeneration: metadata.generation,
    lastTransitionTime: old?.status === said ? old.lastTransitionTime : formatTimeMs(nowMs),
    reason: allowed > 0 ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  return [...all.filter(({ type }) => type !== condition.type), condition];
}

function expectations({ budget, pods, scaleOf }: DisruptionObserved): {
  readonly expected: number;
  readonly desired: number;
} {
  const { minAvailable, maxUnavailable } = budget.spec;
  if (typeof minAvailable === "number") return { expected: pods.length, desired: minAvailable };
  if (minAvailable === undefined && maxUnavailable === undefined) {
    return { expected: pods.length, desired: 0 };
  }
  // Each counts once; Pods that nobody controls, or of whose controller nobody knows, do not.
  const scales = new Map<string, number>();
  for (const pod of pods) {
    const scale = scaleOf(controllerOf(pod)?.uid ?? "");
    if (scale !== undefined) scales.set(scale.uid, scale.replicas);
  }
  const expected = [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
  const desired =
    maxUnavailable === undefined
      ? amountOf(minAvailable ?? 0, expected, "up")
      : Math.max(0, expected - amountOf(maxUnavailable, expected, "up"));
  return { expected, desired };
}

/** The Pods that were evicted and are not seen to go yet, with the times of that. */
function stillGoing(
  { status }: PodDisruptionBudget,
  pods: readonly Pod[],
  nowMs: number,
): Readonly<Record<string, string>> {
  const there = new Set(
    pods
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name),
  );
  const entries = Object.entries(status?.disruptedPods ?? {}).filter(
    ([name, time]) => there.has(name) && (msOf(time) ?? 0) + DELETION_TIMEOUT_MS > nowMs,
  );
  return Object.fromEntries(entries);
}
