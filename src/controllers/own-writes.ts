import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Change, Informer } from "../client/informer.ts";

/**
 * How long a write may stay unseen before the cache is believed again. It matters only where the watch
 * never shows the write, since the object was changed or deleted by others while the watch was away.
 */
export const OWN_WRITE_TTL_MS = 10_000;

/** A change that the watch brought before its write was answered, or somebody else's. */
interface Held {
  readonly key: ObjectKey;
  readonly uid: string | undefined;
  /** Absent: it was deleted. */
  readonly version: string | undefined;
}

interface Written<T> {
  /** Absent: it was deleted. */
  readonly object: T | undefined;
  readonly uid: string | undefined;
  readonly atMs: number;
}

/**
 * A reader's view of an informer that includes the reader's own writes before they come back through the
 * watch, so that a loop that is faster than its watch does not make anything twice (EPS-017). `group` says
 * which of the reader's keys an object belongs to. Holds the writes under way only.
 */
export class OwnWrites<T extends KubernetesObject> {
  readonly #informer: Pick<Informer<T>, "get">;
  readonly #groupOf: (object: T) => string | undefined;
  readonly #now: () => number;
  readonly #ttlMs: number;
  readonly #groups = new Map<string, Map<ObjectKey, Written<T>>>();
  /** By group: changes that came while writes were under way, each of which may be such a write. */
  readonly #held = new Map<string, Held[]>();

  /** @param now monotonic milliseconds. */
  constructor(
    informer: Pick<Informer<T>, "get">,
    groupOf: (object: T) => string | undefined,
    now: () => number = () => performance.now(),
    ttlMs: number = OWN_WRITE_TTL_MS,
  ) {
    this.#informer = informer;
    this.#groupOf = groupOf;
    this.#now = now;
    this.#ttlMs = ttlMs;
  }

  /**
   * Writes of the group begin, one set of them at a time. In one process the watch brings a write before its answer
   * is there: until {@link end} changes of the group are held, not taken for somebody else's at once.
   */
  begin(group: string): void {
    this.#held.set(group, []);
  }

  /** The writes are over. @returns whether others changed something of the group meanwhile. */
  end(group: string): boolean {
    const held = this.#held.get(group) ?? [];
    this.#held.delete(group);
    return held.length > 0;
  }

  /** What the server answered to a create or update. */
  wrote(object: T): void {
    this.#recognize(object, object.metadata.resourceVersion);
    const cached = this.#informer.get(keyOf(object));
    if (cached !== undefined && isAtLeast(cached, object)) return;
    this.#remember(object, object);
  }

  deleted(object: T): void {
    this.#recognize(object, undefined);
    if (this.#informer.get(keyOf(object))?.metadata.uid !== object.metadata.uid) return;
    this.#remember(object, undefined);
  }

  /** A write was refused: what is remembered of the object is out of date. */
  forget(object: T): void {
    this.#drop(this.#groupOf(object), keyOf(object));
  }

  /**
   * Tells what the informer says. To be called for each change.
   * @returns whether the change is one of the reader's own writes, which it knows of, or will be looked at when
   * those under way are over.
   */
  observe(change: Change<T>): boolean {
    return this.#isOwn(change) || this.#hold(change);
  }

  #isOwn({ key, before, after }: Change<T>): boolean {
    const subject = after ?? before;
    const group = subject === undefined ? undefined : this.#groupOf(subject);
    const written = group === undefined ? undefined : this.#groups.get(group)?.get(key);
    if (written === undefined) return false;
    if (after === undefined) {
      // An older copy's end says nothing about the one written since.
      if (before?.metadata.uid !== written.uid) return false;
      this.#drop(group, key);
      return written.object === undefined;
    }
    if (written.object === undefined) {
      if (after.metadata.uid !== written.uid) this.#drop(group, key);
      return false;
    }
    if (!isAtLeast(after, written.object)) return false;
    this.#drop(group, key);
    return after.metadata.resourceVersion === written.object.metadata.resourceVersion;
  }

  /** Holds a change of a group that has writes under way, unless it is another group's as well. */
  #hold({ key, before, after }: Change<T>): boolean {
    const subject = after ?? before;
    const group = subject === undefined ? undefined : this.#groupOf(subject);
    const held = group === undefined ? undefined : this.#held.get(group);
    if (held === undefined || (before !== undefined && this.#groupOf(before) !== group))
      return false;
    held.push({ key, uid: subject?.metadata.uid, version: after?.metadata.resourceVersion });
    return true;
  }

  #recognize(subject: T, version: string | undefined): void {
    const group = this.#groupOf(subject);
    const held = group === undefined ? undefined : this.#held.get(group);
    const at = held?.findIndex(
      (one) => one.version === version && one.uid === subject.metadata.uid,
    );
    if (at !== undefined && at !== -1) held?.splice(at, 1);
  }

  /** The cached objects of a group, with the reader's own writes done to them. */
  view(group: string, cached: readonly T[]): readonly T[] {
    const written = this.#groups.get(group);
    if (written === undefined) return cached;
    const objects = new Map(cached.map((object) => [keyOf(object), object]));
    for (const [key, { object, uid, atMs }] of written) {
      const isStale = this.#now() - atMs > this.#ttlMs;
      if (isStale) written.delete(key);
      else if (object !== undefined) objects.set(key, object);
      else if (objects.get(key)?.metadata.uid === uid) objects.delete(key);
    }
    if (written.size === 0) this.#groups.delete(group);
    return [...objects.values()];
  }

  /** The group has writes that the watch has not shown yet. */
  isWaiting(group: string): boolean {
    return (this.#groups.get(group)?.size ?? 0) > 0;
  }

  #remember(subject: T, object: T | undefined): void {
    const name = this.#groupOf(subject);
    if (name === undefined) return;
    const group = this.#groups.get(name) ?? new Map<ObjectKey, Written<T>>();
    this.#groups.set(name, group);
    group.set(keyOf(subject), { object, uid: subject.metadata.uid, atMs: this.#now() });
  }

  #drop(name: string | undefined, key: ObjectKey): void {
    const group = name === undefined ? undefined : this.#groups.get(name);
    group?.delete(key);
    if (name !== undefined && group?.size === 0) this.#groups.delete(name);
  }
}

/** `object` is as new as `written`, or a later one of the name. Versions compare for equality only. */
function isAtLeast(object: KubernetesObject, written: KubernetesObject): boolean {
  const [now, then] = [object.metadata, written.metadata];
  return (
    now.uid !== then.uid ||
    now.resourceVersion === then.resourceVersion ||
    (now.generation !== undefined &&
      then.generation !== undefined &&
      now.generation > then.generation)
  );
}
