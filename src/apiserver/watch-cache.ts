import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { sleep } from "../async/sleep.ts";
import { CompactedError } from "../store/store.ts";
import type { Entry, Store, StoreEvent } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import { unknownPath, versionFromFuture } from "./failures.ts";
import { KindCache } from "./kind-cache.ts";
import type { RingBounds } from "./kind-cache.ts";
import { REGISTRY, converted, decodeStored, served, storagePrefix } from "./stored.ts";
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
  /** By storage prefix: a cache for each version of the resource, that of the stored form first. */
  readonly #byPrefix = new Map<string, readonly KindCache[]>();
  /** Changes that arrive while a resource is being loaded. */
  readonly #loading = new Map<string, Loading>();
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
    for (const kind of deps.kinds) {
      const prefix = storagePrefix(kind);
      const cache = new KindCache(kind, revision, deps.bounds);
      this.#byPrefix.set(prefix, [...(this.#byPrefix.get(prefix) ?? []), cache]);
    }
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

  /** @throws StatusError 404 for a kind that is not, or no longer, served. */
  of(kind: Pick<KindDefinition, "group" | "plural" | "version" | "storedAs">): KindCache {
    const caches = this.#byPrefix.get(storagePrefix(kind));
    const cache = caches?.find(
      ({ definition }) => definition.version === kind.version && definition.group === kind.group,
    );
    if (cache === undefined) throw unknownPath();
    return cache;
  }

  kinds(): readonly KindCache[] {
    return [...this.#byPrefix.values()].flat();
  }

  /**
   * Serves a resource in these versions, in place of how it was served before. Resolves when its objects are
   * loaded; until then the old state is served. Watches of the old state end.
   * @throws Error when the store cannot be read.
   */
  async serve(kinds: readonly KindDefinition[]): Promise<void> {
    const [first] = kinds;
    if (first === undefined)
      throw new Error("a resource is served in at least one version, got none");
    const prefix = storagePrefix(first);
    const loading: Loading = { events: [], isStale: false };
    this.#loading.set(prefix, loading);
    try {
      const caches = kinds.map((kind) => new KindCache(kind, 0, this.#deps.bounds));
      do {
        loading.isStale = false;
        loading.events.length = 0;
        const { entries, revision } = await this.#deps.store.range({ prefix });
        // From here on what happened after `revision` is among the events.
        await this.reached(revision);
        for (const cache of caches)
          cache.reset(this.#decodeAll(cache.definition, entries), revision);
        for (const event of loading.events) {
          if (revisionOf(event) > revision) this.#applyTo(caches, event);
        }
      } while (loading.isStale);
      this.drop(first);
      this.#byPrefix.set(prefix, caches);
    } finally {
      this.#loading.delete(prefix);
    }
  }

  /** Serves a resource no more; its watches end. */
  drop(kind: Pick<KindDefinition, "group" | "plural">): void {
    const prefix = storagePrefix(kind);
    for (const cache of this.#byPrefix.get(prefix) ?? []) cache.close();
    this.#byPrefix.delete(prefix);
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
      revision = revisionOf(event);
      const prefix = prefixOf(keyOf(event));
      this.#loading.get(prefix)?.events.push(event);
      const caches = this.#byPrefix.get(prefix);
      if (caches === undefined) this.#expected.delete(keyOf(event));
      else for (const cache of this.#applyTo(caches, event)) changed.add(cache);
    }
    this.#advance(revision);
    for (const cache of changed) cache.notify();
  }

  #advance(revision: number): void {
    this.#applied = revision;
    for (const waiter of this.#waiting) if (waiter.revision <= revision) waiter.arrived();
  }

  /** @returns the caches that the event changed: one for each version of the resource. */
  #applyTo(caches: readonly KindCache[], event: StoreEvent): readonly KindCache[] {
    const storeKey = keyOf(event);
    const expected = this.#expected.get(storeKey);
    const isExpected = event.kind === "put" && expected?.text === event.entry.value;
    if (isExpected) this.#expected.delete(storeKey);
    let stored: Served | undefined;
    const afterOf = (kind: KindDefinition): Served | undefined => {
      if (event.kind !== "put") return undefined;
      if (kind.storedAs !== undefined) return stored && converted(stored, kind.storedAs);
      stored = this.#decode(kind, event.entry, isExpected ? expected?.object : undefined);
      return stored;
    };
    return caches.filter((cache) => {
      const key = objectKeyIn(storeKey);
      const before = cache.get(key);
      const after = afterOf(cache.definition);
      if (before === undefined && after === undefined) return false;
      cache.apply({ revision: revisionOf(event), before, after, frames: new Map() });
      return true;
    });
  }

  #load(entries: readonly Entry[], revision: number): void {
    for (const loading of this.#loading.values()) loading.isStale = true;
    const byPrefix = new Map<string, Entry[]>();
    for (const entry of entries) {
      const prefix = prefixOf(entry.key);
      const list = byPrefix.get(prefix);
      if (list === undefined) byPrefix.set(prefix, [entry]);
      else list.push(entry);
    }
    for (const [prefix, caches] of this.#byPrefix) {
      const own = byPrefix.get(prefix) ?? [];
      for (const cache of caches) {
        const { storedAs } = cache.definition;
        const items =
          storedAs === undefined
            ? this.#decodeAll(cache.definition, own)
            : caches[0]?.snapshot("").map((item) => converted(item, storedAs));
        cache.reset(items ?? [], revision);
      }
    }
  }

  #decodeAll(kind: KindDefinition, entries: readonly Entry[]): readonly Served[] {
    return entries.flatMap((entry) => this.#decode(kind, entry, undefined) ?? []);
  }

  /**
   * @param written The object that this server has just written as the entry, which saves parsing it.
   * @returns undefined, after logging it, for an entry that cannot be read: it must not hide the others.
   */
  #decode(
    kind: KindDefinition,
    entry: Entry,
    written: KubernetesObject | undefined,
  ): Served | undefined {
    const key = objectKeyIn(entry.key);
    // A resource of several versions is written in one of them, and read in all.
    if (written?.apiVersion === apiVersionOf(kind)) {
      return served(kind, key, written, entry.value, entry.modRevision);
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
}

/** A resource that is being loaded: what has happened since, and whether its beginning was missed. */
interface Loading {
  readonly events: StoreEvent[];
  isStale: boolean;
}

function keyOf(event: StoreEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

function revisionOf(event: StoreEvent): number {
  return event.kind === "put" ? event.entry.modRevision : event.revision;
}

/** "/registry/GROUP/PLURAL/" ends at the fourth slash. */
function prefixOf(storeKey: string): string {
  const end = storeKey.indexOf("/", storeKey.indexOf("/", REGISTRY.length) + 1) + 1;
  return storeKey.slice(0, end);
}

function objectKeyIn(storeKey: string): ObjectKey {
  // The rest of a storage key is the object's key by construction (storageKey).
  return storeKey.slice(prefixOf(storeKey).length) as ObjectKey;
}
