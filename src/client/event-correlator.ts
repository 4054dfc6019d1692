import type { ObjectReference } from "../api/v1/reference.ts";

/** Different messages of one reason about one object within the window that are told as they are. */
const MAX_SIMILAR = 10;
/** The window starts anew when nothing similar came for so long. */
const WINDOW_MS = 10 * 60_000;
/** Events that one source may write about one object at once, and the time until it may write one more. */
const BURST = 25;
const REFILL_MS = 5 * 60_000;
/**
 * Groups and objects remembered; of more those longest silent are forgotten, and start anew. Fewer than
 * client-go's 4,096: a storm is about few objects, and most objects have no storm.
 */
const MAX_REMEMBERED = 1_024;
const COMBINED = "(combined from similar events): ";

interface Similar {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface Correlated {
  /** Equal for news that are one Event. */
  readonly id: string;
  readonly message: string;
}

/**
 * Keeps the Events of one source few: similar ones become one, and too many about an object are dropped. The
 * numbers are client-go's (`events_cache.go`).
 */
export class EventCorrelator {
  readonly #similar = new Map<string, Similar>();
  readonly #buckets = new Map<string, Bucket>();

  /** Which Event a piece of news belongs to. */
  correlate(
    object: ObjectReference,
    type: string,
    reason: string,
    message: string,
    nowMs: number,
  ): Correlated {
    const about = aboutOf(object);
    const group = JSON.stringify([about, object.fieldPath, type, reason]);
    const known = this.#similar.get(group);
    const isFresh = known === undefined || nowMs - known.lastMs > WINDOW_MS;
    const similar = isFresh ? { messages: new Set<string>(), lastMs: nowMs } : known;
    similar.lastMs = nowMs;
    // As many as are told apart are remembered, and no more.
    if (similar.messages.size < MAX_SIMILAR) similar.messages.add(message);
    remember(this.#similar, group, similar);
    return similar.messages.has(message)
      ? { id: `${group}\n${message}`, message }
      : { id: group, message: COMBINED + message };
  }

  /** Takes the right to write one Event about the object; false: there were too many. */
  mayWrite(object: ObjectReference, nowMs: number): boolean {
    const about = aboutOf(object);
    const bucket = this.#buckets.get(about) ?? { tokens: BURST, atMs: nowMs };
    const refilled = Math.min(BURST, bucket.tokens + Math.max(0, nowMs - bucket.atMs) / REFILL_MS);
    const isAllowed = refilled >= 1;
    bucket.tokens = isAllowed ? refilled - 1 : refilled;
    bucket.atMs = nowMs;
    remember(this.#buckets, about, bucket);
    return isAllowed;
  }
}

function aboutOf({ apiVersion, kind, namespace, name, uid }: ObjectReference): string {
  return JSON.stringify([apiVersion, kind, namespace, name, uid]);
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > MAX_REMEMBERED && oldest.done !== true) map.delete(oldest.value);
}
