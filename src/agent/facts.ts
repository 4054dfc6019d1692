import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { RestartBackoff } from "./restart.ts";

/** A run of a container that has ended. Times in epoch milliseconds. */
export interface ExitedRun {
  readonly kind: "exited";
  readonly attempt: number;
  readonly exitCode: number;
  /** Number of the signal that ended it; 0 when it ended by itself. */
  readonly signal: number;
  /** Completed, Error or ContainerStatusUnknown. */
  readonly reason: string;
  readonly message: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

export type ContainerState =
  /** Could not be started; tried again when the back-off allows. */
  | { readonly kind: "waiting"; readonly reason: string; readonly message: string }
  /** Being started right now. */
  /** `failure` is why the try before this one came to nothing. */
  | {
      readonly kind: "starting";
      readonly failure?: { readonly reason: string; readonly message: string } | undefined;
    }
  | { readonly kind: "running"; readonly attempt: number; readonly startedAtMs: number }
  | ExitedRun;

/** What the agent knows of one container. Absent from {@link PodFacts} when it was never tried. */
export interface ContainerFacts {
  readonly state: ContainerState;
  /** The run before the current or last one. */
  readonly previous: ExitedRun | undefined;
  /** When it may be started again; undefined before the first exit or failure. */
  readonly backoff: RestartBackoff | undefined;
  /** The startup probe has succeeded, or there is none. Only of use while running. */
  readonly isStarted: boolean;
  /** The readiness probe's last verdict, or true when there is none. Only of use while running. */
  readonly isReady: boolean;
}

/** What the agent knows of one Pod; with the Pod itself, all that status and plan are decided from. */
export interface PodFacts {
  /** The Pod's primary address. */
  readonly podIp: string | undefined;
  /** All its addresses, the primary one first. */
  readonly podIps: readonly string[];
  /** The node's addresses, the primary one first. */
  readonly hostIps: readonly string[];
  /** Whether its containers' volumes are mounted. */
  readonly canMount: boolean;
  /** When the agent first saw the Pod, epoch milliseconds. */
  readonly acceptedAtMs: number;
  readonly containers: ReadonlyMap<string, ContainerFacts>;
  /** The Pod is asked to end, but data planes may still send it connections: its processes run on. */
  readonly isDraining: boolean;
  /** Why the node has the Pod go, if it does. */
  readonly eviction?: string | undefined;
}

/** An init container that keeps running beside the others (restartPolicy Always). */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

export function initContainersOf(pod: Pod): readonly Container[] {
  return pod.spec.initContainers ?? [];
}

/** Seconds from deletion to SIGKILL, as the API server recorded them or the spec asks. */
export function gracePeriodSecondsOf(pod: Pod): number {
  return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}

/** The attempts so far, the first not counted: what `restartCount` shows. */
export function restartCountOf(facts: ContainerFacts | undefined): number {
  if (facts === undefined) return 0;
  const { state, previous } = facts;
  return state.kind === "running" || state.kind === "exited"
    ? state.attempt
    : (previous?.attempt ?? 0);
}
