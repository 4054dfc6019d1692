import { backoff } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { reasonOf } from "./sleep.ts";

export interface WorkQueueOptions<K extends string = string> {
  /** Delays of {@link WorkQueue.retry}. */
  readonly backoff: Backoff;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  /** Monotonic milliseconds, for the observer's times; default `performance.now`. */
  readonly now?: (() => number) | undefined;
  readonly observer?: WorkQueueObserver | undefined;
  /**
   * Of the keys that are ready those of the highest rank are given first, of one rank first come first served;
   * asked when a key becomes ready. Default: all are of one rank.
   */
  readonly rank?: ((key: K) => number) | undefined;
}

/** Told about each step, for metrics. */
export interface WorkQueueObserver {
  added(): void;
  started(waitedMs: number): void;
  finished(workedMs: number): void;
  retried(): void;
}

/** Longest delay that a Node timer can hold; a longer one is cut to it, and the key comes early. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Keys waiting to be worked on, first come first served. A key waits at most once however often it is added,
 * so the bound is the number of keys that exist; a key is never given out twice at once: added while being
 * worked on, it waits again after {@link done}. Holds keys only, so that a worker reads the newest state.
 *
 * Usage: `const key = await queue.get(signal); try { ... queue.forget(key) } catch { queue.retry(key) }
 * finally { queue.done(key) }`.
 */
export class WorkQueue<K extends string> implements Disposable {
  readonly #options: WorkQueueOptions<K>;
  readonly #now: () => number;
  /** Ready keys with the time they became ready. */
  readonly #ready = new Map<K, number>();
  /** Ready keys by rank, in order. */
  readonly #ranks = new Map<number, Set<K>>();
  /** Keys being worked on, with the time that began. */
  readonly #active = new Map<K, number>();
  /** Active keys that were added meanwhile, with that time. */
  readonly #again = new Map<K, number>();
  readonly #delayed = new Map<K, { readonly dueMs: number; readonly timer: NodeJS.Timeout }>();
  readonly #failures = new Map<K, number>();
  /** Those who wait for a key, first come first. */
  readonly #getters = new Set<() => void>();
  readonly #idlers = new Set<() => void>();
  #disposed = false;

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Keys ready to be worked on; neither the delayed ones nor those being worked on. */
  get depth(): number {
    return this.#ready.size + this.#again.size;
  }

  /** Keys being worked on. */
  get active(): number {
    return this.#active.size;
  }

  /** How long all work that is running now has been going on, in sum. */
  get unfinishedMs(): number {
    const now = this.#now();
    let sum = 0;
    for (const startedMs of this.#active.values()) sum += now - startedMs;
    return sum;
  }

  /** How long the longest running work has been going on; 0 when none is. */
  get longestActiveMs(): number {
    const first = this.#active.values().next();
    return first.done === true ? 0 : this.#now() - first.value;
  }

  /** Makes the key ready now. Nothing happens after disposal. */
  add(key: K): void {
    if (this.#disposed || this.#ready.has(key) || this.#again.has(key)) return;
    this.#options.observer?.added();
    if (this.#active.has(key)) this.#again.set(key, this.#now());
    else this.#makeReady(key, this.#now());
  }

  /** Adds the key after `ms` milliseconds; of several delays of one key the one that ends first counts. */
  addAfter(key: K, ms: number): void {
    if (ms <= 0) {
      this.add(key);
      return;
    }
    if (this.#disposed) return;
    const delayMs = Math.min(ms, MAX_TIMER_MS);
    const dueMs = this.#now() + delayMs;
    const waiting = this.#delayed.get(key);
    if (waiting !== undefined) {
      if (waiting.dueMs <= dueMs) return;
      clearTimeout(waiting.timer);
    }
    // Keeps the process alive on purpose: it is work that was promised. Disposal clears it.
    const timer = setTimeout(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, delayMs);
    this.#delayed.set(key, { dueMs, timer });
  }

  /** Adds a key whose work failed after a delay that grows with each failure since {@link forget}. */
  retry(key: K): void {
    if (this.#disposed) return;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#options.observer?.retried();
    this.addAfter(key, backoff(failures, this.#options.backoff, this.#options.random));
  }

  /** How often the key's work failed since {@link forget}. */
  failuresOf(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key's work succeeded (or is given up): its next failure starts with the shortest delay. */
  forget(key: K): void {
    this.#failures.delete(key);
  }

  /**
   * The next key; {@link done} must follow. A key that is added several times in one go is given once: whoever
   * waits takes it when that code has run, not within it. Rejects with the signal's reason.
   */
  async get(signal: AbortSignal): Promise<K> {
    for (;;) {
      if (signal.aborted) {
        // It may be this getter that was woken for a key: somebody else must come.
        if (this.#ready.size > 0) this.#wakeGetter();
        throw reasonOf(signal);
      }
      const first = this.#first();
      if (first !== undefined) return this.#start(first.key, first.rank);
      await this.#woken(signal);
    }
  }

  /** The work on a key that {@link get} gave has ended, well or badly. */
  done(key: K): void {
    const startedMs = this.#active.get(key);
    if (startedMs === undefined)
      throw new Error(`done(${JSON.stringify(key)}): not being worked on`);
    this.#active.delete(key);
    this.#options.observer?.finished(this.#now() - startedMs);
    const addedMs = this.#again.get(key);
    if (addedMs !== undefined) {
      this.#again.delete(key);
      this.#makeReady(key, addedMs);
    }
    if (this.#isIdle) {
      for (const resolve of this.#idlers) resolve();
      this.#idlers.clear();
    }
  }

  /** Resolves when no key is ready or being worked on; delayed keys do not count. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.add(resolve));
  }

  /** Drops all that waits; later additions are ignored. Whoever waits in {@link get} aborts its signal. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const { timer } of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    this.#ready.clear();
    this.#ranks.clear();
    this.#again.clear();
    this.#failures.clear();
    if (this.#isIdle) {
      for (const resolve of this.#idlers) resolve();
      this.#idlers.clear();
    }
  }

  get #isIdle(): boolean {
    return this.#ready.size === 0 && this.#active.size === 0;
  }

  #makeReady(key: K, addedMs: number): void {
    const rank = this.#options.rank?.(key) ?? 0;
    const keys = this.#ranks.get(rank);
    if (keys === undefined) this.#ranks.set(rank, new Set([key]));
    else keys.add(key);
    this.#ready.set(key, addedMs);
    this.#wakeGetter();
  }

  #wakeGetter(): void {
    const getter = this.#getters.values().next();
    if (getter.done !== true) getter.value();
  }

  /** Resolves when there may be a key, or when the signal aborts. */
  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#getters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#getters.add(wake);
    });
  }

  /** The ready key whose turn it is. */
  #first(): { readonly key: K; readonly rank: number } | undefined {
    let first: { readonly key: K; readonly rank: number } | undefined;
    for (const [rank, keys] of this.#ranks) {
      const next = keys.values().next();
      const isBefore = first === undefined || rank > first.rank;
      if (isBefore && next.done !== true) first = { key: next.value, rank };
    }
    return first;
  }

  #start(key: K, rank: number): K {
    const now = this.#now();
    const addedMs = this.#ready.get(key) ?? now;
    this.#ready.delete(key);
    const keys = this.#ranks.get(rank);
    keys?.delete(key);
    // The rank that all have stays; others come and go with their keys.
    if (keys?.size === 0 && rank !== 0) this.#ranks.delete(rank);
    this.#active.set(key, now);
    this.#options.observer?.started(now - addedMs);
    return key;
  }
}
