/** When a container that ended may be started again. */
export interface RestartBackoff {
  readonly delayMs: number;
  /** Epoch milliseconds. */
  readonly untilMs: number;
}

const FIRST_DELAY_MS = 10_000;
const MAX_DELAY_MS = 300_000;
/** A run this long is no crash loop: the next restart is immediate again. */
const RESET_AFTER_MS = 600_000;

/**
 * The back-off after a run: the first restart is immediate, then 10 s doubling to 5 min, and from the start
 * again after a run of 10 min (kubelet `doBackOff`).
 */
export function backoffAfterExit(
  previous: RestartBackoff | undefined,
  startedAtMs: number,
  finishedAtMs: number,
): RestartBackoff {
  const isFresh = previous === undefined || finishedAtMs - startedAtMs >= RESET_AFTER_MS;
  const delayMs = isFresh
    ? 0
    : Math.min(MAX_DELAY_MS, Math.max(FIRST_DELAY_MS, previous.delayMs * 2));
  return { delayMs, untilMs: finishedAtMs + delayMs };
}

const FIRST_CREATE_DELAY_MS = 1_000;
const MAX_CREATE_DELAY_MS = 60_000;

/**
 * The back-off after a start that failed (no such program, missing ConfigMap): 1 s doubling to 1 min. Sooner
 * than after a crash, since nothing ran that could do harm, and the cause is often mended within seconds.
 */
export function backoffAfterFailedStart(
  previous: RestartBackoff | undefined,
  nowMs: number,
): RestartBackoff {
  const doubled = (previous?.delayMs ?? 0) * 2;
  const delayMs = Math.min(MAX_CREATE_DELAY_MS, Math.max(FIRST_CREATE_DELAY_MS, doubled));
  return { delayMs, untilMs: nowMs + delayMs };
}
