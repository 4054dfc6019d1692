import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { sleep } from "../async/sleep.ts";
import { CompactedError } from "../store/store.ts";
import type { Entry, Store, StoreEvent } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import { versionFromFuture } from "./failures.ts";
import { KindCache } from "./kind-cache.ts";
import type { RingBounds } from "./kind-cache.ts";
import { REGISTRY, decodeStored, served, storagePrefix } from "./stored.ts";
import type { Served } from "./stored.ts";

/** How long a reader waits for a version that this server has not seen yet. */
const FRESHNESS_WAIT_MS = 3000;
const REWATCH_MS = 100;

export interface WatchCacheDeps {
  readonly store: Store;
  readonly kinds: readonly KindDefinition[];
  readonly log: Logger;
  readonly bounds?: RingBounds | undefined;
}

interface Waiter {
  readonly revision: number;
  readonly arrived: () => void;
  readonly closed: (reason: Error) => void;
}

/**
 * The present state of all kinds and their recent changes, kept by following the store. All reads are
 * answered from here; writers wait until their own commit has arrived before they answer, so that whoever
 * was told of a write can read it.
 */
export class WatchCache implements AsyncDisposable {
  readonly #deps: WatchCacheDeps;
  readonly #byPrefix: ReadonlyMap<string, KindCache>;
  readonly #stop = new AbortController();
  readonly #expected = new Map<
    string,
    { readonly text: string; readonly object: KubernetesObject }
  >();
  readonly #waiting = new Set<Waiter>();
  #applied: number;
  #following: Promise<void> = Promise.resolve();
  #problem: string | undefined;

  private constructor(deps: WatchCacheDeps, revision: number) {
    this.#deps = deps;
    this.#applied = revision;
    this.#byPrefix = new Map(
      deps.kinds.map((kind) => [storagePrefix(kind), new KindCache(kind, revision, deps.bounds)]),
    );
  }

  /** Loads everything and follows from there. */
  static async start(deps: WatchCacheDeps): Promise<WatchCache> {
    const { entries, revision } = await deps.store.range({ prefix: REGISTRY });
    const cache = new WatchCache(deps, revision);
    cache.#load(entries, revision);
    cache.#following = cache.#follow();
    return cache;
  }

  /** The revision that all kinds show. */
  get revision(): number {
    return this.#applied;
  }

  /** Why the cache is no longer kept up to date; undefined while it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** @throws Error for a kind that is not served. */
  of(kind: Pick<KindDefinition, "group" | "plural">): KindCache {
    const cache = this.#byPrefix.get(storagePrefix(kind));
    if (cache === undefined) throw new Error(`kind not served: ${kind.plural}.${kind.group}`);
    return cache;
  }

  kinds(): readonly KindCache[] {
    return [...this.#byPrefix.values()];
  }

  /** Announces what is about to be written, so that it need not be parsed when it comes back. */
  expect(storeKey: string, text: string, object: KubernetesObject): void {
    this.#expected.set(storeKey, { text, object });
  }

  /** The announced write was not made. */
  forget(storeKey: string): void {
    this.#expected.delete(storeKey);
  }

  /**
   * Resolves when the cache shows `revision`.
   * @throws StatusError 504 when that takes longer than 3 seconds; the signal's reason when it aborts, and
   * Error when the cache is closed.
   */
  async reached(revision: number, signal?: AbortSignal): Promise<void> {
    if (this.#applied >= revision) return;
    signal?.throwIfAborted();
    this.#stop.signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        this.#waiting.delete(waiter);
        settle();
      };
      const waiter: Waiter = {
        revision,
        arrived: () => end(resolve),
        closed: (reason) => end(() => reject(reason)),
      };
      // The reason is whatever the caller aborted with, as fetch does it.
      const aborted = () => end(() => reject(signal?.reason as Error));
      const timer = setTimeout(
        () => end(() => reject(versionFromFuture(revision, this.#applied))),
        FRESHNESS_WAIT_MS,
      );
      signal?.addEventListener("abort", aborted, { once: true });
      this.#waiting.add(waiter);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new Error("the watch cache is closed");
    this.#stop.abort(reason);
    await this.#following;
    // Nothing arrives any more; a timer that waits for it would hold up the end of the process.
    for (const waiter of this.#waiting) waiter.closed(reason);
  }

  async #follow(): Promise<void> {
    const { store, log } = this.#deps;
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      try {
        const commits = store.watch({ prefix: REGISTRY, afterRevision: this.#applied, signal });
        for await (const events of commits) this.#apply(events);
        if (signal.aborted) return;
        log.warn("the store ended the watch; watching again");
        await sleep(REWATCH_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof CompactedError)) {
          this.#problem = `the store cannot be followed: ${String(error)}`;
          log.error("the store cannot be followed; reads stay as they are", { error });
          return;
        }
        log.warn("fell behind the store; loading everything again", { revision: this.#applied });
        const { entries, revision } = await store.range({ prefix: REGISTRY });
        this.#load(entries, revision);
        this.#advance(revision);
      }
    }
  }

  #apply(events: readonly StoreEvent[]): void {
    const changed = new Set<KindCache>();
    let revision = this.#applied;
    for (const event of events) {
      const storeKey = event.kind === "put" ? event.entry.key : event.key;
      revision = event.kind === "put" ? event.entry.modRevision : event.revision;
      const place = this.#placeOf(storeKey);
      if (place === undefined) continue;
      const before = place.cache.get(place.key);
      const after =
        event.kind === "put"
          ? this.#decode(place.cache.definition, place.key, event.entry)
          : undefined;
      if (before === undefined && after === undefined) continue;
      place.cache.apply({ revision, before, after, frames: new Map() });
      changed.add(place.cache);
    }
    this.#advance(revision);
    for (const cache of changed) cache.notify();
  }

  #advance(revision: number): void {
    this.#applied = revision;
    for (const waiter of this.#waiting) if (waiter.revision <= revision) waiter.arrived();
  }

  #load(entries: readonly Entry[], revision: number): void {
    const items = new Map<KindCache, Served[]>();
    for (const cache of this.#byPrefix.values()) items.set(cache, []);
    for (const entry of entries) {
      const place = this.#placeOf(entry.key);
      if (place === undefined) continue;
      const item = this.#decode(place.cache.definition, place.key, entry);
      if (item !== undefined) items.get(place.cache)?.push(item);
    }
    for (const [cache, list] of items) cache.reset(list, revision);
  }

  /** @returns undefined, after logging it, for an entry that cannot be read: it must not hide the others. */
  #decode(kind: KindDefinition, key: ObjectKey, entry: Entry): Served | undefined {
    const expected = this.#expected.get(entry.key);
    if (expected?.text === entry.value) {
      this.#expected.delete(entry.key);
      return served(kind, key, expected.object, expected.text, entry.modRevision);
    }
    try {
      return decodeStored(kind, key, entry);
    } catch (error) {
      this.#deps.log.error("stored object cannot be read; it is left out", {
        key: entry.key,
        error,
      });
      return undefined;
    }
  }

  #placeOf(storeKey: string): { readonly cache: KindCache; readonly key: ObjectKey } | undefined {
    // "/registry/GROUP/PLURAL/" ends at the fourth slash.
    const end = storeKey.indexOf("/", storeKey.indexOf("/", REGISTRY.length) + 1) + 1;
    const cache = this.#byPrefix.get(storeKey.slice(0, end));
    // The rest of a storage key is the object's key by construction (storageKey).
    return cache === undefined ? undefined : { cache, key: storeKey.slice(end) as ObjectKey };
  }
}
