import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectRef } from "../api/machinery/object-key.ts";
import { failure } from "../api/machinery/status.ts";
import { StoreUnavailableError } from "../store/store.ts";
import type { Compare, CommitResult, Store, Write } from "../store/store.ts";
import { encodeStored, served, storageKey, storedText, unstored } from "./stored.ts";
import type { Served } from "./stored.ts";
import type { WatchCache } from "./watch-cache.ts";

/** One object's part in a commit. */
export interface Step {
  readonly kind: KindDefinition;
  readonly ref: ObjectRef;
  /** What the object must still be; undefined: it must not exist. */
  readonly current: Served | undefined;
  /** undefined: the object is deleted. */
  readonly next: KubernetesObject | undefined;
}

/** Another object that must not have changed meanwhile. */
export interface Unchanged {
  readonly kind: KindDefinition;
  readonly item: Served;
}

/** Something that one object at most may hold, and that is no object itself: its place in the store. */
export interface Claim {
  readonly storeKey: string;
  /** Who holds it; for people who look into the store. */
  readonly holder: string;
}

export type StepsResult =
  | { readonly kind: "committed"; readonly revision: number }
  /** Somebody was faster; the cache has caught up with them. */
  | { readonly kind: "conflict"; readonly storeKey: string };

/** Commits changes of objects to the store, and waits until the cache shows them. */
export class Registry {
  readonly #store: Store;
  readonly #cache: WatchCache;

  constructor(store: Store, cache: WatchCache) {
    this.#store = store;
    this.#cache = cache;
  }

  get(kind: KindDefinition, ref: ObjectRef): Served | undefined {
    return this.#cache.of(kind).get(objectKey(ref));
  }

  /** An object as it reads at the revision that wrote it. */
  served(kind: KindDefinition, object: KubernetesObject, revision: number): Served {
    return served(kind, objectKey(object.metadata), object, encodeStored(object), revision);
  }

  /**
   * All steps or none, durably.
   * @throws StatusError 503 when the store refuses writes.
   */
  async commit(
    steps: readonly Step[],
    unchanged: readonly Unchanged[] = [],
    { takes, frees }: { readonly takes: readonly Claim[]; readonly frees: readonly Claim[] } = {
      takes: [],
      frees: [],
    },
  ): Promise<StepsResult> {
    const compare: Compare[] = unchanged.map(({ kind, item }) => ({
      key: storageKey(kind, item.object.metadata),
      modRevision: item.revision,
    }));
    const writes: Write[] = [];
    for (const { kind, ref, current, next } of steps) {
      const key = storageKey(kind, ref);
      compare.push({ key, modRevision: current?.revision ?? 0 });
      if (next === undefined) writes.push({ kind: "delete", key });
      else {
        const value = storedText(kind, next);
        this.#cache.expect(key, value, next);
        writes.push({ kind: "put", key, value });
      }
    }
    for (const { storeKey: key, holder } of takes) {
      compare.push({ key, modRevision: 0 });
      writes.push({ kind: "put", key, value: holder });
    }
    // Only the holder frees, and that it still is the holder says its own step.
    for (const { storeKey: key } of frees) writes.push({ kind: "delete", key });
    const result = await this.#tryCommit(compare, writes);
    if (result.kind === "committed") {
      await this.#cache.reached(result.revision);
      return result;
    }
    await this.#catchUp(result.current?.modRevision);
    return { kind: "conflict", storeKey: result.key };
  }

  async #tryCommit(compare: readonly Compare[], writes: readonly Write[]): Promise<CommitResult> {
    const forget = () => {
      for (const { key } of writes) this.#cache.forget(key);
    };
    try {
      const result = await this.#store.commit(compare, writes);
      if (result.kind === "conflict") forget();
      return result;
    } catch (error) {
      forget();
      if (!(error instanceof StoreUnavailableError)) throw error;
      throw failure(503, "ServiceUnavailable", `the store refuses writes: ${error.message}`);
    }
  }

  /** The conflicting state may be newer than the cache; a deletion has no revision to wait for. */
  async #catchUp(revision: number | undefined): Promise<void> {
    await this.#cache.reached(revision ?? this.#store.revision);
  }
}

/** What a write would give, for dry runs: a created object has no resourceVersion yet. */
export function unsaved(
  kind: KindDefinition,
  object: KubernetesObject,
  current: Served | undefined,
): Served {
  const key = objectKey(object.metadata);
  if (current !== undefined) {
    return served(kind, key, object, encodeStored(object), current.revision);
  }
  const { resourceVersion: _, ...metadata } = object.metadata;
  return unstored(key, { ...object, metadata });
}
