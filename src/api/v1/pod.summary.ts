import type { ContainerStatus } from "./pod-status.ts";
import type { Pod } from "./pod.ts";

/** What one line can say of a Pod. */
export interface PodSummary {
  /** The word of kubectl's STATUS column: a phase, or the reason of a container that holds the Pod up. */
  readonly reason: string;
  /** Containers that are ready, sidecars included. */
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  /** When a container last ended, RFC 3339. */
  readonly lastRestart: string | undefined;
}

interface Initialization {
  /** Absent once all init containers have done their part. */
  readonly reason: string | undefined;
  readonly readySidecars: number;
  readonly statuses: readonly ContainerStatus[];
}

/** Condenses a Pod as kubectl does. Source: upstream `printers/internalversion/printers.go:printPod`. */
export function summarizePod(pod: Pod): PodSummary {
  const sidecars = new Set(
    (pod.spec.initContainers ?? [])
      .filter((container) => container.restartPolicy === "Always")
      .map((container) => container.name),
  );
  const total = pod.spec.containers.length + sidecars.size;
  const init = initialization(pod, sidecars);
  const counted = (statuses: readonly ContainerStatus[]) => ({
    total,
    restarts: statuses.reduce((sum, status) => sum + status.restartCount, 0),
    lastRestart: lastEnd(statuses),
  });
  const isInitialized = hasCondition(pod, "Initialized");
  if (init.reason !== undefined && !isInitialized) {
    const reason = ending(pod) ?? init.reason;
    return { ...counted(init.statuses), ready: init.readySidecars, reason };
  }
  const statuses = pod.status?.containerStatuses ?? [];
  const running = statuses.filter((status) => status.ready && status.state?.running !== undefined);
  const fromContainers = containersReason(statuses) ?? init.reason ?? phaseReason(pod);
  const isPartlyDone = fromContainers === "Completed" && running.length > 0;
  const reason = isPartlyDone
    ? hasCondition(pod, "Ready")
      ? "Running"
      : "NotReady"
    : fromContainers;
  const restarted = [...init.statuses.filter(({ name }) => sidecars.has(name)), ...statuses];
  return {
    ...counted(restarted),
    ready: init.readySidecars + running.length,
    reason: ending(pod) ?? reason,
  };
}

function phaseReason(pod: Pod): string {
  const isGated = pod.status?.conditions?.some(
    (condition) => condition.type === "PodScheduled" && condition.reason === "SchedulingGated",
  );
  if (isGated === true) return "SchedulingGated";
  return pod.status?.reason || (pod.status?.phase ?? "");
}

/** What a Pod shows while it is being deleted. */
function ending(pod: Pod): string | undefined {
  if (pod.metadata.deletionTimestamp === undefined) return undefined;
  if (pod.status?.reason === "NodeLost") return "Unknown";
  const isOver = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
  return isOver ? undefined : "Terminating";
}

function initialization(pod: Pod, sidecars: ReadonlySet<string>): Initialization {
  const statuses = pod.status?.initContainerStatuses ?? [];
  const total = pod.spec.initContainers?.length ?? 0;
  let readySidecars = 0;
  for (const [i, status] of statuses.entries()) {
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(status.name) && status.started === true) {
      if (status.ready) readySidecars++;
      continue;
    }
    const seen = { readySidecars, statuses: statuses.slice(0, i + 1) };
    if (terminated !== undefined) return { ...seen, reason: `Init:${exitReason(terminated)}` };
    const isHeldUp = (waiting?.reason ?? "PodInitializing") !== "PodInitializing";
    const progress = `${String(i)}/${String(total)}`;
    return { ...seen, reason: `Init:${isHeldUp ? (waiting?.reason ?? "") : progress}` };
  }
  return { reason: undefined, readySidecars, statuses };
}

/** The reason of the first container that has one. */
function containersReason(statuses: readonly ContainerStatus[]): string | undefined {
  for (const { state } of statuses) {
    if (state?.waiting?.reason) return state.waiting.reason;
    if (state?.terminated !== undefined) return exitReason(state.terminated);
  }
  return undefined;
}

function exitReason(terminated: {
  readonly exitCode: number;
  readonly signal?: number | undefined;
  readonly reason?: string | undefined;
}): string {
  const { exitCode, signal = 0, reason = "" } = terminated;
  if (reason !== "") return reason;
  return signal === 0 ? `ExitCode:${String(exitCode)}` : `Signal:${String(signal)}`;
}

function lastEnd(statuses: readonly ContainerStatus[]): string | undefined {
  const ends = statuses.flatMap((status) => status.lastState?.terminated?.finishedAt ?? []);
  // Times in UTC and of one format: the order of the texts is the order of the times.
  return ends.toSorted().at(-1);
}

function hasCondition(pod: Pod, type: string): boolean {
  return (pod.status?.conditions ?? []).some(
    (condition) => condition.type === type && condition.status === "True",
  );
}
