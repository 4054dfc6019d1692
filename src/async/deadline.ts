import { reasonOf } from "./sleep.ts";

/** Something took longer than it may. */
export class DeadlineError extends Error {
  readonly code = "DEADLINE";

  constructor(ms: number) {
    super(`not done within ${String(ms)} ms`);
    this.name = "DeadlineError";
  }
}

/**
 * Runs `fn` with a signal that aborts after `ms` milliseconds (with {@link DeadlineError}) or when `signal`
 * aborts (with its reason), and rejects with that reason even if `fn` does not heed its signal: what `fn`
 * gives after that is dropped, so an `fn` that opens things must heed it. No listener and no timer is left
 * behind, which `AbortSignal.any` with a long-lived signal cannot promise on Node 20.
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal | undefined,
  fn: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal?.aborted === true) throw reasonOf(signal);
  const controller = new AbortController();
  const onAbort = (): void => {
    if (signal !== undefined) controller.abort(reasonOf(signal));
  };
  const timer = setTimeout(() => {
    controller.abort(new DeadlineError(ms));
  }, ms);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await abortable(controller.signal, fn(controller.signal));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * The promise's outcome, or the signal's reason if that aborts first. For waits that know no signal; leaves
 * no listener behind.
 */
export function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(reasonOf(signal));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise
      .finally(() => {
        signal.removeEventListener("abort", onAbort);
      })
      .then(resolve, reject);
  });
}
