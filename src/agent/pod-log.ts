import type { Pod } from "../api/v1/pod.ts";
import type { ContainerLog } from "./container-log.ts";
import type { ContainerFacts } from "./facts.ts";

/** What `kubectl logs` may read; or why not, in kubelet's words. */
export type PodLog =
  | { readonly kind: "log"; readonly log: ContainerLog; readonly hasEnded: () => boolean }
  | { readonly kind: "unavailable"; readonly message: string };

/** The attempt whose log is meant: the current or last one, or the one before; undefined: there is none. */
export function loggedAttempt(
  facts: ContainerFacts | undefined,
  previous: boolean,
): number | undefined {
  const state = facts?.state;
  // While it waits for its next start, the run that ended is still the current one.
  const isRun = state?.kind === "running" || state?.kind === "exited";
  return isRun && !previous ? state.attempt : facts?.previous?.attempt;
}

/** Why there is no such log, in kubelet's words. */
export function noLogText(
  pod: Pod,
  container: string,
  facts: ContainerFacts | undefined,
  previous: boolean,
): string {
  const { name } = pod.metadata;
  if (previous) return `previous terminated container "${container}" in pod "${name}" not found`;
  const why = facts?.state.kind === "waiting" ? facts.state.reason : "ContainerCreating";
  return `container "${container}" in pod "${name}" is waiting to start: ${why}`;
}
