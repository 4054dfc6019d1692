import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import { initContainersOf, isSidecar } from "./facts.ts";
import type { ContainerFacts, PodFacts } from "./facts.ts";

/** What to do with a Pod's containers now. Names are in the order of the spec. */
export interface PodPlan {
  readonly start: readonly string[];
  readonly stop: readonly string[];
  /** When to plan again though nothing happens; epoch milliseconds. */
  readonly wakeAtMs: number | undefined;
  /** Nothing runs, and nothing will be started again. */
  readonly isFinished: boolean;
  /** Why the Pod as a whole is given up; undefined while it may go on. */
  readonly failure: PodFailure | undefined;
}

/** Reason of a Pod, and of the Event, when the node has it go. */
export const EVICTED = "Evicted";

interface PodFailure {
  readonly reason: string;
  readonly message: string;
}

/**
 * Decides which containers to start and stop (kubelet `computePodActions`): init containers one after
 * another, sidecars as soon as they have started, then the containers; after an exit as restartPolicy says,
 * when the back-off is over. Sidecars stop after the containers have, and nothing stops while it is draining.
 */
export function planPod(pod: Pod, facts: PodFacts, nowMs: number): PodPlan {
  const failure = failureOf(pod, facts, nowMs);
  if (pod.metadata.deletionTimestamp !== undefined || failure !== undefined)
    return planEnd(pod, facts, failure);
  const planner = new Planner(pod, facts, nowMs);
  if (planner.initialize()) planner.run();
  const deadlineMs = deadlineOf(pod, facts);
  if (deadlineMs !== undefined && !planner.isFinished) planner.wakeAt(deadlineMs);
  return {
    start: planner.start,
    stop: planner.stop,
    wakeAtMs: planner.wakeAtMs,
    isFinished: planner.isFinished,
    failure,
  };
}

function planEnd(pod: Pod, facts: PodFacts, failure: PodFailure | undefined): PodPlan {
  const busy = (list: readonly Container[]): string[] =>
    list.map((container) => container.name).filter((name) => isBusy(facts.containers.get(name)));
  const mains = busy(pod.spec.containers);
  // The last sidecar started is the first to go, as others may need those before it.
  const inits = busy(initContainersOf(pod)).reverse();
  const next = mains.length > 0 ? mains : inits.slice(0, 1);
  const isFinished = next.length === 0;
  const stop = facts.isDraining && failure === undefined ? [] : next;
  return { start: [], stop, wakeAtMs: undefined, isFinished, failure };
}

class Planner {
  readonly start: string[] = [];
  readonly stop: string[] = [];
  wakeAtMs: number | undefined;
  isFinished = false;
  readonly #pod: Pod;
  readonly #facts: PodFacts;
  readonly #nowMs: number;

  constructor(pod: Pod, facts: PodFacts, nowMs: number) {
    this.#pod = pod;
    this.#facts = facts;
    this.#nowMs = nowMs;
  }

  wakeAt(ms: number): void {
    this.wakeAtMs = Math.min(this.wakeAtMs ?? ms, ms);
  }

  /** @returns whether the containers may run. */
  initialize(): boolean {
    // Once a container has been tried, a restart of a sidecar no longer holds the others up.
    const hasBegun = this.#pod.spec.containers.some(({ name }) => this.#facts.containers.has(name));
    for (const container of initContainersOf(this.#pod)) {
      const facts = this.#facts.containers.get(container.name);
      if (isSidecar(container)) {
        if (!isBusy(facts)) this.#startWhenDue(container.name, facts);
        if (!hasBegun && !(facts?.state.kind === "running" && facts.isStarted)) return false;
      } else if (!hasBegun && !isCompleted(facts)) {
        if (!isBusy(facts)) this.#startWhenDue(container.name, facts);
        return false;
      }
    }
    return true;
  }

  run(): void {
    let isOver = true;
    for (const { name } of this.#pod.spec.containers) {
      const facts = this.#facts.containers.get(name);
      if (!isBusy(facts) && !willStart(this.#pod, facts)) continue;
      isOver = false;
      if (!isBusy(facts)) this.#startWhenDue(name, facts);
    }
    if (!isOver) return;
    // Only sidecars can be left; they are not started again.
    this.start.length = 0;
    this.wakeAtMs = undefined;
    const end = planEnd(this.#pod, this.#facts, undefined);
    this.stop.push(...end.stop);
    this.isFinished = end.isFinished;
  }

  #startWhenDue(name: string, facts: ContainerFacts | undefined): void {
    const untilMs = facts?.backoff?.untilMs ?? 0;
    if (untilMs <= this.#nowMs) this.start.push(name);
    else this.wakeAt(untilMs);
  }
}

/** Whether a process of the container exists or is about to. */
function isBusy(facts: ContainerFacts | undefined): boolean {
  return facts?.state.kind === "running" || facts?.state.kind === "starting";
}

export function isCompleted(facts: ContainerFacts | undefined): boolean {
  return facts?.state.kind === "exited" && facts.state.exitCode === 0;
}

/** Whether a container that does not run will be started, now or later. */
export function willStart(pod: Pod, facts: ContainerFacts | undefined): boolean {
  if (facts?.state.kind !== "exited") return true;
  if (pod.spec.restartPolicy === "Never") return false;
  return pod.spec.restartPolicy !== "OnFailure" || facts.state.exitCode !== 0;
}

function failureOf(pod: Pod, facts: PodFacts, nowMs: number): PodFailure | undefined {
  // Once given up, for good: the agent may have been restarted in between.
  if (pod.status?.phase === "Failed")
    return { reason: pod.status.reason ?? "", message: pod.status.message ?? "" };
  if (facts.eviction !== undefined) return { reason: EVICTED, message: facts.eviction };
  const deadlineMs = deadlineOf(pod, facts);
  if (deadlineMs !== undefined && nowMs >= deadlineMs)
    return {
      reason: "DeadlineExceeded",
      message: "Pod was active on the node longer than the specified deadline",
    };
  const failedInit = initContainersOf(pod).some((container) => {
    const state = facts.containers.get(container.name)?.state;
    return !isSidecar(container) && state?.kind === "exited" && state.exitCode !== 0;
  });
  if (failedInit && pod.spec.restartPolicy === "Never") return { reason: "", message: "" };
  return undefined;
}

function deadlineOf(pod: Pod, facts: PodFacts): number | undefined {
  const seconds = pod.spec.activeDeadlineSeconds;
  return seconds === undefined ? undefined : facts.acceptedAtMs + seconds * 1000;
}

/** Whether all init containers have done what the containers wait for. */
export function isInitialized(pod: Pod, facts: PodFacts): boolean {
  const hasBegun = pod.spec.containers.some(({ name }) => facts.containers.has(name));
  return hasBegun || incompleteInits(pod, facts).length === 0;
}

/** Names of init containers that the containers still wait for. */
export function incompleteInits(pod: Pod, facts: PodFacts): readonly string[] {
  const isDone = (container: Container): boolean => {
    const known = facts.containers.get(container.name);
    if (!isSidecar(container)) return isCompleted(known);
    return known?.state.kind === "running" && known.isStarted;
  };
  return initContainersOf(pod)
    .filter((container) => !isDone(container))
    .map(({ name }) => name);
}
