import { sleep } from "./sleep.ts";

/**
 * Does something every `ms` milliseconds, counted from the end of the time before, first after `ms`. Disposing ends
 * it, and waits for what is under way.
 * @param act must not reject.
 */
export function every(ms: number, act: (signal: AbortSignal) => Promise<void>): AsyncDisposable {
  const ended = new AbortController();
  const { signal } = ended;
  const running = (async () => {
    while (!signal.aborted) {
      // Rejects only when the signal aborts.
      await sleep(ms, signal).catch(() => undefined);
      if (!signal.aborted) await act(signal);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error("it is not done any more"));
      await running;
    },
  };
}
