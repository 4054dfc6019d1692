import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Change } from "./informer.ts";

interface Index<T> {
  readonly valuesOf: (object: T) => readonly string[];
  readonly buckets: Map<string, Map<ObjectKey, T>>;
}

/** Objects by key, and by what index functions say of them; indexes cost the work of the change only. */
export class IndexedCache<T extends Pick<KubernetesObject, "metadata">> {
  readonly #objects = new Map<ObjectKey, T>();
  readonly #indexes = new Map<string, Index<T>>();
  /** The last answer of `list`, until something changes: many callers list on every event. */
  #listed: readonly T[] | undefined;

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    this.#listed ??= [...this.#objects.values()];
    return this.#listed;
  }

  /** Puts the object in; undefined when the cache holds this very version of it. */
  put(object: T): Change<T> | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined && isSameVersion(before, object)) return undefined;
    return this.#change(key, before, object);
  }

  /** Holds this in place of the object that has its key: the same version in another form, which is no change. */
  swap(object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined) this.#change(key, before, object);
  }

  /** Takes the key out; undefined when it was not in. */
  remove(key: ObjectKey): Change<T> | undefined {
    const before = this.#objects.get(key);
    return before === undefined ? undefined : this.#change(key, before, undefined);
  }

  /** Makes the cache hold exactly these objects; gives what that changed. */
  replace(objects: readonly T[]): readonly Change<T>[] {
    const changes: (Change<T> | undefined)[] = [];
    const kept = new Set(objects.map(keyOf));
    for (const key of this.#objects.keys()) {
      if (!kept.has(key)) changes.push(this.remove(key));
    }
    for (const object of objects) changes.push(this.put(object));
    return changes.filter((change) => change !== undefined);
  }

  addIndex(name: string, valuesOf: (object: T) => readonly string[]): void {
    if (this.#indexes.has(name)) return;
    const index: Index<T> = { valuesOf, buckets: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enter(index, key, object);
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) {
      const known = [...this.#indexes.keys()].join(", ");
      throw new Error(`no index ${JSON.stringify(name)}; there is [${known}]`);
    }
    const bucket = index.buckets.get(value);
    return bucket === undefined ? [] : [...bucket.values()];
  }

  #change(key: ObjectKey, before: T | undefined, after: T | undefined): Change<T> {
    if (after === undefined) this.#objects.delete(key);
    else this.#objects.set(key, after);
    this.#listed = undefined;
    for (const index of this.#indexes.values()) {
      if (before !== undefined) leave(index, key, before);
      if (after !== undefined) enter(index, key, after);
    }
    return { key, before, after };
  }
}

function enter<T>(index: Index<T>, key: ObjectKey, object: T): void {
  for (const value of index.valuesOf(object)) {
    const bucket = index.buckets.get(value);
    if (bucket === undefined) index.buckets.set(value, new Map([[key, object]]));
    else bucket.set(key, object);
  }
}

function leave<T>(index: Index<T>, key: ObjectKey, object: T): void {
  for (const value of index.valuesOf(object)) {
    const bucket = index.buckets.get(value);
    if (bucket === undefined) continue;
    bucket.delete(key);
    if (bucket.size === 0) index.buckets.delete(value);
  }
}

/** Versions are opaque: they can be compared for being the same and for nothing else. */
function isSameVersion(
  a: Pick<KubernetesObject, "metadata">,
  b: Pick<KubernetesObject, "metadata">,
): boolean {
  return (
    a.metadata.resourceVersion !== undefined &&
    a.metadata.resourceVersion === b.metadata.resourceVersion &&
    a.metadata.uid === b.metadata.uid
  );
}
