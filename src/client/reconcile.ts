import { setMaxListeners } from "node:events";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { Backoff } from "../async/backoff.ts";
import { WorkQueue } from "../async/work-queue.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { createQueueMetrics } from "./queue-metrics.ts";

export type ReconcileResult =
  /** What is, is what should be. */
  | { readonly kind: "done" }
  /** Look again after that time, because something depends on the clock. */
  | { readonly kind: "again"; readonly afterMs: number };

export interface ReconcilerOptions<K extends string = ObjectKey> {
  /** In logs and metrics, e.g. `endpointslice`. */
  readonly name: string;
  /** Keys worked on at once; default 1. */
  readonly concurrency?: number | undefined;
  /** Reads the caches, writes the difference. The signal aborts when the reconciler is disposed. */
  reconcile(key: K, signal: AbortSignal): Promise<ReconcileResult>;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** In [0, 1), for jitter; default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Delays after failures; default 5 ms doubling to 1,000 s. */
  readonly backoff?: Backoff | undefined;
  /** Keys of a higher rank are reconciled first; default: first come first served. */
  readonly rank?: ((key: K) => number) | undefined;
}

/** Disposal aborts the running reconciles and waits for them; what waits in the queue is dropped. */
export interface Reconciler<K extends string = ObjectKey> extends AsyncDisposable {
  /** Reconciles the key soon; once, however often it is called before that. */
  enqueue(key: K): void;
  enqueueAfter(key: K, ms: number): void;
  /** Resolves when no key waits or is being reconciled; keys that wait for a time do not count. */
  idle(): Promise<void>;
}

/**
 * 5 ms doubling to 1,000 s, client-go's default for a key: most failures are races that the next look
 * settles, and a key that keeps failing costs one try a quarter of an hour. The EndpointSlice controller
 * upstream starts at 1 s and gives up after 15 tries until the next event (EPS-051); never giving up is the
 * same for a reader, but heals by itself.
 */
const DEFAULT_BACKOFF: Backoff = { baseMs: 5, maxMs: 1_000_000 };
/** After so many failures in a row (about a second) each is worth a warning; before, only the first is. */
const LOUD_FAILURES = 8;

/** Runs `reconcile` for queued keys; a key is never reconciled twice at once. Holds keys, so is bounded by them. */
export function startReconciler<K extends string = ObjectKey>(
  options: ReconcilerOptions<K>,
): Reconciler<K> {
  const { name, concurrency = 1, random = Math.random } = options;
  const log = options.log.with({ reconciler: name });
  const queueMetrics = createQueueMetrics(options.metrics ?? new Metrics(), name);
  const queue = new WorkQueue<K>({
    backoff: options.backoff ?? DEFAULT_BACKOFF,
    random,
    observer: queueMetrics,
    rank: options.rank,
  });
  const scrape = queueMetrics.follow(queue);
  const ended = new AbortController();
  const { signal } = ended;
  // Each worker waits on it, and what it calls: bounded by the concurrency, so no leak to be warned of.
  setMaxListeners(0, signal);

  const noteFailure = (key: K, error: unknown): void => {
    const failures = queue.failuresOf(key);
    const isQuiet = hasReason(error, "Conflict") || failures > 0;
    // A conflict says that the cache is behind our own or another's write, and settles by itself.
    if (isQuiet && failures < LOUD_FAILURES)
      log.debug("reconcile failed", { key, failures, error });
    else log.warn("reconcile failed", { key, failures, error });
  };

  const step = async (key: K): Promise<void> => {
    try {
      const result = await options.reconcile(key, signal);
      queue.forget(key);
      if (result.kind === "again") queue.addAfter(key, result.afterMs);
    } catch (error) {
      if (signal.aborted) return;
      noteFailure(key, error);
      queue.retry(key);
    } finally {
      queue.done(key);
    }
  };

  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      // Rejects only when the signal aborts, which the loop's condition sees.
      const key = await queue.get(signal).catch(() => undefined);
      if (key !== undefined) await step(key);
    }
  };
  const workers = Array.from({ length: concurrency }, work);

  return {
    enqueue: (key) => {
      queue.add(key);
    },
    enqueueAfter: (key, ms) => {
      queue.addAfter(key, ms);
    },
    idle: () => queue.idle(),
    [Symbol.asyncDispose]: async () => {
      queue[Symbol.dispose]();
      ended.abort(new Error(`the reconciler ${name} was stopped`));
      await Promise.all(workers);
      scrape[Symbol.dispose]();
    },
  };
}
