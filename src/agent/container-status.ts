import type { Container } from "../api/v1/container.ts";
import type { ContainerState, ContainerStatus } from "../api/v1/pod-status.ts";
import type { Pod } from "../api/v1/pod.ts";
import { initContainersOf, isSidecar, restartCountOf } from "./facts.ts";
import { isVolumeSupported } from "./pod-volumes.ts";
import type { ContainerFacts, ExitedRun } from "./facts.ts";
import { isCompleted, willStart } from "./plan.ts";
import { timeText } from "./time.ts";

/** How a container of an attempt is named in status, for people: `portolan://<pod uid>/<name>/<attempt>`. */
function containerIdOf(podUid: string, name: string, attempt: number): string {
  return `portolan://${podUid}/${name}/${String(attempt)}`;
}

/**
 * One container as the API shows it (kubelet `convertToAPIContainerStatuses`).
 * @param canMount whether its volumes are mounted.
 */
export function containerStatusOf(
  pod: Pod,
  container: Container,
  facts: ContainerFacts | undefined,
  canMount: boolean,
  nowMs: number,
): ContainerStatus {
  const isInit = initContainersOf(pod).includes(container);
  const run =
    facts?.state.kind === "running" || facts?.state.kind === "exited" ? facts.state : undefined;
  const shown = run ?? facts?.previous;
  const isRunning = facts?.state.kind === "running";
  const isStarted = isRunning && facts.isStarted;
  const isReady = isInit && !isSidecar(container) ? isCompleted(facts) : isStarted && facts.isReady;
  const id =
    shown === undefined
      ? undefined
      : containerIdOf(pod.metadata.uid ?? "", container.name, shown.attempt);
  return {
    name: container.name,
    state: stateOf(pod, container, facts, nowMs),
    lastState: lastStateOf(pod, container, facts, nowMs),
    ready: isReady,
    restartCount: restartCountOf(facts),
    image: container.image ?? "",
    imageID: "",
    ...(id === undefined ? {} : { containerID: id }),
    started: isStarted,
    ...(canMount ? mountsOf(pod, container) : {}),
  };
}

/** How the volumes are mounted that this node can have (KEP-3857). */
function mountsOf(
  { spec }: Pod,
  { volumeMounts = [] }: Container,
): Pick<ContainerStatus, "volumeMounts"> {
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const mounts = volumeMounts.flatMap(({ name, mountPath, readOnly, recursiveReadOnly = "" }) => {
    const volume = volumes.get(name);
    if (volume === undefined || !isVolumeSupported(volume)) return [];
    const isRecursive = recursiveReadOnly === "Enabled" || recursiveReadOnly === "IfPossible";
    const recursion = { recursiveReadOnly: isRecursive ? "Enabled" : "Disabled" };
    return [{ name, mountPath, ...(readOnly === true ? { readOnly, ...recursion } : {}) }];
  });
  return mounts.length === 0 ? {} : { volumeMounts: mounts };
}

function stateOf(
  pod: Pod,
  container: Container,
  facts: ContainerFacts | undefined,
  nowMs: number,
): ContainerState {
  if (facts === undefined) {
    const isHeldUp = !isInitialHolder(pod, container);
    return { waiting: { reason: isHeldUp ? "PodInitializing" : "ContainerCreating" } };
  }
  const { state } = facts;
  switch (state.kind) {
    case "waiting":
      return { waiting: { reason: state.reason, message: state.message } };
    case "starting":
      // A reason that comes and goes with each try could not be read.
      return { waiting: state.failure ?? { reason: "ContainerCreating" } };
    case "running":
      return { running: { startedAt: timeText(state.startedAtMs) } };
    case "exited":
      return isInCrashLoop(pod, container, facts, nowMs)
        ? { waiting: crashLoop(pod, container, facts) }
        : { terminated: terminated(pod, container, state) };
  }
}

/** An init container, or a container of a Pod that has none: nothing else needs to end before it starts. */
function isInitialHolder(pod: Pod, container: Container): boolean {
  const inits = initContainersOf(pod);
  return inits.length === 0 || inits[0] === container;
}

function lastStateOf(
  pod: Pod,
  container: Container,
  facts: ContainerFacts | undefined,
  nowMs: number,
): ContainerState {
  if (facts === undefined) return {};
  const run =
    facts.state.kind === "exited" && isInCrashLoop(pod, container, facts, nowMs)
      ? facts.state
      : facts.previous;
  return run === undefined ? {} : { terminated: terminated(pod, container, run) };
}

function isInCrashLoop(
  pod: Pod,
  container: Container,
  facts: ContainerFacts,
  nowMs: number,
): boolean {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed") return false;
  const isInit = initContainersOf(pod).includes(container) && !isSidecar(container);
  const restarts = isInit
    ? !isCompleted(facts) && pod.spec.restartPolicy !== "Never"
    : isSidecar(container) || willStart(pod, facts);
  return restarts && (facts.backoff?.untilMs ?? 0) > nowMs;
}

function crashLoop(
  pod: Pod,
  container: Container,
  facts: ContainerFacts,
): { reason: string; message: string } {
  const seconds = Math.round((facts.backoff?.delayMs ?? 0) / 1000);
  const delay =
    seconds < 60
      ? `${String(seconds)}s`
      : `${String(Math.floor(seconds / 60))}m${String(seconds % 60)}s`;
  const { name, namespace = "", uid = "" } = pod.metadata;
  return {
    reason: "CrashLoopBackOff",
    message: `back-off ${delay} restarting failed container=${container.name} pod=${name}_${namespace}(${uid})`,
  };
}

function terminated(
  pod: Pod,
  container: Container,
  run: ExitedRun,
): NonNullable<ContainerState["terminated"]> {
  return {
    exitCode: run.exitCode,
    ...(run.signal === 0 ? {} : { signal: run.signal }),
    reason: run.reason,
    ...(run.message === "" ? {} : { message: run.message }),
    startedAt: timeText(run.startedAtMs),
    finishedAt: timeText(run.finishedAtMs),
    containerID: containerIdOf(pod.metadata.uid ?? "", container.name, run.attempt),
  };
}
