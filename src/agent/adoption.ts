import type { Pod } from "../api/v1/pod.ts";
import type { ContainerFacts, ExitedRun } from "./facts.ts";
import { initContainersOf } from "./facts.ts";
import type { MarkedProcess } from "./markers.ts";
import type { ContainerRecord } from "./pod-files.ts";
import type { ProcessId } from "./proc.ts";
import { lostRun } from "./ended-run.ts";
import { backoffAfterExit } from "./restart.ts";

/** A container as an earlier agent left it. */
export interface RestoredContainer {
  readonly record: ContainerRecord;
  /** Its process, if that still runs. */
  readonly process: ProcessId | undefined;
}

export interface AdoptionPlan {
  readonly restored: readonly RestoredContainer[];
  /** Processes of Pods, containers or attempts that should not be; to be stopped before anything starts. */
  readonly stop: readonly ProcessId[];
}

export interface AdoptionInput {
  readonly records: readonly ContainerRecord[];
  readonly marked: readonly MarkedProcess[];
  /** The Pods bound to this node, by UID. */
  readonly pods: ReadonlyMap<string, Pod>;
  readonly bootId: string;
  readonly isAlive: (id: ProcessId) => boolean;
  /** Whether the Pod may go on with that address; false after a change of the node's range. */
  readonly canKeepIp: (pod: Pod, podIp: string) => boolean;
}

/**
 * Decides what becomes of the processes that an earlier agent left: adopted when Pod, container and attempt
 * are the ones that should run, stopped otherwise, so that no container ever has two processes.
 */
export function planAdoption(input: AdoptionInput): AdoptionPlan {
  const restored: RestoredContainer[] = [];
  const stop = new Map<number, ProcessId>();
  for (const record of input.records) {
    const pod = input.pods.get(record.podUid);
    const process = processOf(record, input);
    const isWanted = pod !== undefined && hasContainer(pod, record.container);
    const isOver =
      pod === undefined ||
      pod.status?.phase === "Succeeded" ||
      pod.status?.phase === "Failed" ||
      !input.canKeepIp(pod, record.podIp);
    if (isWanted) restored.push({ record, process: isOver ? undefined : process });
    if (process !== undefined && (!isWanted || isOver)) stop.set(process.pid, process);
  }
  for (const { pid, startTicks, marker } of input.marked) {
    const isAdopted = restored.some(
      ({ record, process }) =>
        process !== undefined &&
        record.podUid === marker.podUid &&
        record.container === marker.container &&
        record.attempt === marker.attempt,
    );
    if (!isAdopted) stop.set(pid, { pid, startTicks });
  }
  return { restored, stop: [...stop.values()].sort((a, b) => a.pid - b.pid) };
}

/** By the recorded pid; or by its environment, if the agent died right after starting it. */
function processOf(record: ContainerRecord, input: AdoptionInput): ProcessId | undefined {
  if (record.run.kind === "exited" || record.bootId !== input.bootId) return undefined;
  if (record.run.kind === "running" && input.isAlive(record.run))
    return { pid: record.run.pid, startTicks: record.run.startTicks };
  if (record.run.kind === "running") return undefined;
  return input.marked.find(
    ({ pid, processGroup, marker }) =>
      pid === processGroup &&
      marker.podUid === record.podUid &&
      marker.container === record.container &&
      marker.attempt === record.attempt,
  );
}

function hasContainer(pod: Pod, name: string): boolean {
  return [...pod.spec.containers, ...initContainersOf(pod)].some(
    (container) => container.name === name,
  );
}

/**
 * What the agent may take for known of a container it did not start itself. Without a record (the data
 * directory was lost) the API's status is the only witness. Undefined: never ran.
 */
export function restoredFacts(
  pod: Pod,
  name: string,
  restored: RestoredContainer | undefined,
  nowMs: number,
): ContainerFacts | undefined {
  const shown = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
  ].find((status) => status.name === name);
  if (restored === undefined) {
    const state = shown?.state;
    const ran = state?.running ?? state?.terminated ?? shown?.lastState?.terminated;
    if (shown === undefined || ran === undefined) return undefined;
    const terminated = state?.terminated ?? shown.lastState?.terminated;
    const startedAtMs = timeOf(ran.startedAt) ?? nowMs;
    const run = lostRun(shown.restartCount, startedAtMs, nowMs);
    const known =
      state?.running === undefined && terminated !== undefined
        ? {
            ...run,
            exitCode: terminated.exitCode,
            signal: terminated.signal ?? 0,
            reason: terminated.reason ?? "",
            message: terminated.message ?? "",
            finishedAtMs: timeOf(terminated.finishedAt) ?? nowMs,
          }
        : run;
    return exitedFacts(known, undefined);
  }
  const { record, process } = restored;
  if (process !== undefined)
    return {
      state: { kind: "running", attempt: record.attempt, startedAtMs: record.startedAtMs },
      previous: record.previous,
      backoff: record.backoff,
      // What the last agent's probes found holds until ours find otherwise: adoption disturbs nobody.
      isStarted: shown?.started ?? false,
      isReady: shown?.ready ?? false,
    };
  if (record.run.kind === "exited")
    return {
      state: record.run,
      previous: record.previous,
      backoff: record.backoff,
      isStarted: false,
      isReady: false,
    };
  if (record.run.kind === "starting" && record.previous === undefined) return undefined;
  const run =
    record.run.kind === "starting" && record.previous !== undefined
      ? record.previous
      : lostRun(record.attempt, record.startedAtMs, nowMs);
  return exitedFacts(run, record.previous);
}

function exitedFacts(run: ExitedRun, previous: ExitedRun | undefined): ContainerFacts {
  return {
    state: run,
    previous: previous?.attempt === run.attempt ? undefined : previous,
    backoff: backoffAfterExit(undefined, run.startedAtMs, run.finishedAtMs),
    isStarted: false,
    isReady: false,
  };
}

function timeOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
