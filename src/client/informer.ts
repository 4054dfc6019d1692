import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";

/**
 * A key's object before and after; `before` absent: added, `after` absent: deleted. Both may be there with
 * different uids: it was deleted and made again while the watch was away.
 */
export interface Change<T> {
  readonly key: ObjectKey;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** A live local copy of all objects of one kind: lists, watches from there, lists again after a 410. */
export interface Informer<T extends KubernetesObject> {
  readonly kind: KindDefinition<T>;
  /** The first list is in. Before that an empty cache says nothing: no one may act on it. */
  readonly hasSynced: boolean;
  /** Resolves when the first list is in; rejects with the signal's reason. */
  synced(signal: AbortSignal): Promise<void>;
  get(key: ObjectKey): T | undefined;
  /** Every cached object, in no order. */
  list(): readonly T[];
  /** Objects whose index function gave `value`. @throws Error when no such index was added. */
  byIndex(index: string, value: string): readonly T[];
  /** Adds an index (idempotent by name); `values` gives the index values of an object. */
  addIndex(index: string, values: (object: T) => readonly string[]): void;
  /**
   * Calls `listener` once for every object already cached and then for every change, synchronously, in
   * order. The listener must be quick and not throw: queue the key. Dispose to stop.
   */
  onChange(listener: (change: Change<T>) => void): Disposable;
  /** Why the copy is not being kept up to date right now; undefined while the watch runs. */
  readonly lastError: Error | undefined;
}

/** Which objects of a kind an informer holds; default all. */
export interface InformerScope {
  readonly namespace?: string | undefined;
  /** As in a list, e.g. `app=web`. */
  readonly labelSelector?: string | undefined;
  /** As in a list, e.g. `spec.nodeName=local`. */
  readonly fieldSelector?: string | undefined;
}

/** Hands out one informer a kind and scope, shared by all who ask; disposing ends them all. */
export interface Informers extends AsyncDisposable {
  /** Starts the informer if it is the first time. @throws Error after disposal. */
  of<T extends KubernetesObject>(kind: KindDefinition<T>, scope?: InformerScope): Informer<T>;
}
