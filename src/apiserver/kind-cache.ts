import type { KindDefinition } from "../api/machinery/kind.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { Served } from "./stored.ts";

/** A change of one object; `before` absent: created, `after` absent: deleted. */
export interface CacheEvent {
  readonly revision: number;
  readonly before: Served | undefined;
  readonly after: Served | undefined;
  /** Wire forms by event type, filled on first use and shared by all watchers. */
  readonly frames: Map<string, Uint8Array>;
}

export interface RingBounds {
  readonly maxEvents: number;
  /** Sum of the serialized objects that the ring keeps alive. */
  readonly maxBytes: number;
}

const DEFAULT_BOUNDS: RingBounds = { maxEvents: 8192, maxBytes: 4 * 1024 * 1024 };

export type EventsRead =
  | { readonly kind: "events"; readonly events: readonly CacheEvent[]; readonly next: number }
  /** The reader fell behind the ring: it missed changes. */
  | { readonly kind: "lost" };

/**
 * All objects of one kind, sorted by key, and a ring of its recent changes. Readers of changes hold a cursor
 * into the ring instead of a queue, so that a slow one costs no memory: when the ring has moved past it, it
 * has lost. Every method is synchronous; changes come from one place, in order of revision.
 */
export class KindCache {
  readonly definition: KindDefinition;
  readonly #bounds: RingBounds;
  readonly #items = new Map<ObjectKey, Served>();
  /** Those of all items. */
  readonly #keys = new SortedKeys<ObjectKey>();
  readonly #listeners = new Set<() => void>();
  readonly #observers = new Set<(event: CacheEvent) => void>();
  #ring: CacheEvent[] = [];
  /** Sequence number of `#ring[0]`; grows as events are dropped. */
  #first = 0;
  #ringBytes = 0;
  #isClosed = false;
  /** Changes up to this revision are not in the ring. */
  #startRevision: number;

  constructor(definition: KindDefinition, revision: number, bounds: RingBounds = DEFAULT_BOUNDS) {
    this.definition = definition;
    this.#startRevision = revision;
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#items.size;
  }

  /** The oldest revision from which changes can be read. */
  get oldestRevision(): number {
    return this.#startRevision;
  }

  get(key: ObjectKey): Served | undefined {
    return this.#items.get(key);
  }

  /** Items whose key has this prefix, after `after`, in order of keys. */
  *range(prefix: string, after = ""): Iterable<Served> {
    for (const key of this.#keys.from(after > prefix ? after : prefix)) {
      if (!key.startsWith(prefix)) return;
      if (key === after) continue;
      const item = this.#items.get(key);
      if (item !== undefined) yield item;
    }
  }

  /** All items under the prefix at this moment. */
  snapshot(prefix: string): readonly Served[] {
    return [...this.range(prefix)];
  }

  /**
   * All items under the prefix as they were at `revision`: the present state with the changes since then
   * undone. @returns undefined when some of those changes are no longer known.
   */
  stateAt(revision: number, prefix: string): readonly Served[] | undefined {
    const cursor = this.cursorAfter(revision);
    if (cursor === undefined) return undefined;
    const first = new Map<ObjectKey, Served | undefined>();
    for (let i = cursor - this.#first; i < this.#ring.length; i++) {
      const event = this.#ring[i];
      const key = (event?.before ?? event?.after)?.key;
      if (key?.startsWith(prefix) === true && !first.has(key)) first.set(key, event?.before);
    }
    const present = this.snapshot(prefix);
    if (first.size === 0) return present;
    const state = present.filter((item) => !first.has(item.key));
    for (const item of first.values()) if (item !== undefined) state.push(item);
    return state.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Where to read the changes after `revision`; undefined when some of them are gone. */
  cursorAfter(revision: number): number | undefined {
    if (revision < this.#startRevision) return undefined;
    let low = 0;
    let high = this.#ring.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ring[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#first + low;
  }

  /** At most `max` changes from the cursor on. */
  readFrom(cursor: number, max: number): EventsRead {
    if (cursor < this.#first) return { kind: "lost" };
    const start = cursor - this.#first;
    const events = this.#ring.slice(start, start + max);
    return { kind: "events", events, next: cursor + events.length };
  }

  /** Calls `listener` after each commit that changed this kind. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Calls `observer` with each change as it is applied; for indexes inside the server. */
  observe(observer: (event: CacheEvent) => void): Disposable {
    this.#observers.add(observer);
    return { [Symbol.dispose]: () => void this.#observers.delete(observer) };
  }

  get watchers(): number {
    return this.#listeners.size;
  }

  apply(event: CacheEvent): void {
    const item = event.after ?? event.before;
    if (item === undefined) throw new Error("a change has a state before or after it, got neither");
    if (event.after === undefined) this.#remove(item.key);
    else this.#put(event.after);
    this.#ring.push(event);
    this.#ringBytes += sizeOf(event);
    this.#trim();
    for (const observer of this.#observers) observer(event);
  }

  /** Served no more, or in another form: whoever watches has to start anew. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    this.notify();
  }

  /** Wakes those who wait for changes. */
  notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Takes a whole new state when the way to it is not known; every reader of changes has lost. */
  reset(items: readonly Served[], revision: number): void {
    const old = new Map(this.#items);
    this.#items.clear();
    this.#keys.clear();
    for (const item of items) this.#put(item);
    // One number is skipped, so that even a cursor at the very end is behind.
    this.#first += this.#ring.length + 1;
    this.#ring = [];
    this.#ringBytes = 0;
    this.#startRevision = revision;
    this.#observeReset(old, revision);
    this.notify();
  }

  /** Indexes inside the server follow a whole new state as they follow single changes. */
  #observeReset(old: ReadonlyMap<ObjectKey, Served>, revision: number): void {
    if (this.#observers.size === 0) return;
    for (const key of new Set([...old.keys(), ...this.#items.keys()])) {
      const [before, after] = [old.get(key), this.#items.get(key)];
      if (before !== undefined && before.revision === after?.revision) continue;
      const event = { revision, before, after, frames: new Map<string, Uint8Array>() };
      for (const observer of this.#observers) observer(event);
    }
  }

  #put(item: Served): void {
    if (!this.#items.has(item.key)) this.#keys.add(item.key);
    this.#items.set(item.key, item);
  }

  #remove(key: ObjectKey): void {
    if (this.#items.delete(key)) this.#keys.delete(key);
  }

  /** Drops the oldest eighth at once when a bound is passed, so that dropping stays cheap. */
  #trim(): void {
    const { maxEvents, maxBytes } = this.#bounds;
    if (this.#ring.length <= maxEvents && this.#ringBytes <= maxBytes) return;
    let count = Math.min(this.#ring.length - 1, Math.max(1, maxEvents >>> 3));
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += sizeOf(this.#ring[i]);
    while (this.#ringBytes - bytes > maxBytes && count < this.#ring.length - 1) {
      bytes += sizeOf(this.#ring[count]);
      count++;
    }
    // Writes of one commit stay together: a watch can only start between commits.
    this.#startRevision = this.#ring[count - 1]?.revision ?? this.#startRevision;
    while (this.#ring[count]?.revision === this.#startRevision) {
      bytes += sizeOf(this.#ring[count]);
      count++;
    }
    this.#ring.splice(0, count);
    this.#first += count;
    this.#ringBytes -= bytes;
  }
}

function sizeOf(event: CacheEvent | undefined): number {
  return (event?.after?.size ?? 0) + (event?.before?.size ?? 0) + 256;
}
