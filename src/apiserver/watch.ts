import { expired, tooOldVersion } from "./failures.ts";
import type { CacheEvent, KindCache } from "./kind-cache.ts";
import type { Selection } from "./list.ts";
import type { ListQuery } from "./query.ts";
import { deletedAt } from "./stored.ts";
import type { Served } from "./stored.ts";
import type { WatchCache } from "./watch-cache.ts";

type EventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";

/** Writes the object of an event in the form that the watcher asked for; may remember what it sent before. */
export interface EventRenderer {
  /** The frame depends on nothing but the object and may be shared between watchers. */
  readonly shared: boolean;
  object(item: Served): Uint8Array;
  bookmark(revision: number, isInitialEnd: boolean): Uint8Array;
}

export interface WatchDeps {
  readonly cache: WatchCache;
  readonly kindCache: KindCache;
  readonly selection: Selection;
  readonly query: ListQuery;
  readonly renderer: EventRenderer;
  /** The caller is gone. */
  readonly signal: AbortSignal;
  /** The server ends. */
  readonly stopping: AbortSignal;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const BOOKMARK_EVERY_MS = 60_000;
/** Watches that name no end get one between 30 and 60 minutes, so that they do not all come back at once. */
const DEFAULT_TIMEOUT_SECONDS = 1800;
const BATCH_EVENTS = 256;
const BATCH_BYTES = 64 * 1024;

/**
 * Starts a watch. The position is fixed before this resolves; frames are made as they are read, so a
 * reader that does not read costs nothing and, once the ring has moved past it, gets a 410 ERROR event.
 * @throws StatusError 504 for a version that this server has not seen.
 */
export async function openWatch(deps: WatchDeps): Promise<AsyncIterable<Uint8Array>> {
  const { cache, kindCache, query, selection } = deps;
  const version = query.resourceVersion ?? 0;
  if (version > 0) await cache.reached(version, deps.signal);
  const initial = query.sendInitialEvents ?? version === 0;
  const fromNow = initial || version === 0;
  const revision = fromNow ? cache.revision : version;
  const cursor = kindCache.cursorAfter(revision);
  const items = initial ? kindCache.snapshot(selection.prefix) : [];
  if (cursor === undefined) {
    const failure = tooOldVersion(version, kindCache.oldestRevision);
    return frames([frame("ERROR", Buffer.from(JSON.stringify(failure.status)))]);
  }
  return stream(deps, items, cursor, revision);
}

async function* frames(list: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* list;
}

// One generator all the way: handing chunks on from one to another costs more than making them.
async function* stream(
  deps: WatchDeps,
  items: readonly Served[],
  start: number,
  revision: number,
): AsyncIterable<Uint8Array> {
  const { cache, kindCache, query, renderer, now } = deps;
  for (const chunk of initialEvents(deps, items)) yield chunk;
  if (query.sendInitialEvents === true && query.allowWatchBookmarks) {
    yield frame("BOOKMARK", renderer.bookmark(revision, true));
  }
  const endsAt = now() + 1000 * timeoutSecondsOf(query);
  let nextBookmark = query.allowWatchBookmarks ? now() + BOOKMARK_EVERY_MS : Infinity;
  let cursor = start;
  using bell = new Bell(deps);
  for (;;) {
    if (deps.signal.aborted || deps.stopping.aborted) return;
    const read = kindCache.readFrom(cursor, BATCH_EVENTS);
    if (read.kind === "lost") {
      const failure = expired("too old resource version: this watch fell behind recent changes");
      yield frame("ERROR", Buffer.from(JSON.stringify(failure.status)));
      return;
    }
    cursor = read.next;
    const batch: Uint8Array[] = [];
    for (const event of read.events) {
      const bytes = frameOf(event, deps);
      if (bytes !== undefined) batch.push(bytes);
    }
    const chunk = joined(batch);
    if (chunk !== undefined) yield chunk;
    if (read.events.length > 0) continue;
    if (kindCache.isClosed) return;
    const time = now();
    const isOver = time >= endsAt;
    if (query.allowWatchBookmarks && (isOver || time >= nextBookmark)) {
      nextBookmark = time + BOOKMARK_EVERY_MS;
      yield frame("BOOKMARK", renderer.bookmark(cache.revision, false));
      // Whatever rang while the reader had the frame was not heard: look again before waiting.
      if (!isOver) continue;
    }
    if (isOver) return;
    await bell.rungBy(Math.min(endsAt, nextBookmark));
  }
}

function timeoutSecondsOf({ timeoutSeconds = 0 }: ListQuery): number {
  return timeoutSeconds > 0 ? timeoutSeconds : DEFAULT_TIMEOUT_SECONDS * (1 + Math.random());
}

/** Everything that is selected as ADDED, in chunks of some size. */
function* initialEvents(deps: WatchDeps, items: readonly Served[]): Iterable<Uint8Array> {
  const { renderer, selection } = deps;
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const item of items) {
    if (selection.matches?.(item) === false) continue;
    const bytes = frame("ADDED", renderer.object(item));
    batch.push(bytes);
    size += bytes.length;
    if (size < BATCH_BYTES) continue;
    yield Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  if (batch.length > 0) yield Buffer.concat(batch);
}

/** What one change is to this watcher: objects come into and go out of its selection. */
function frameOf(event: CacheEvent, deps: WatchDeps): Uint8Array | undefined {
  const { selection, renderer } = deps;
  const isIn = (item: Served | undefined) =>
    item !== undefined &&
    item.key.startsWith(selection.prefix) &&
    selection.matches?.(item) !== false;
  const was = isIn(event.before);
  const is = isIn(event.after);
  if (!was && !is) return undefined;
  const type = is ? (was ? "MODIFIED" : "ADDED") : "DELETED";
  const known = renderer.shared ? event.frames.get(type) : undefined;
  if (known !== undefined) return known;
  const item = is ? event.after : event.before && deletedAt(event.before, event.revision);
  if (item === undefined) return undefined;
  const bytes = frame(type, renderer.object(item));
  if (renderer.shared) event.frames.set(type, bytes);
  return bytes;
}

/** By the first frame: the last batch that began with it. Held as long as that frame, and never wrong. */
const joins = new WeakMap<
  Uint8Array,
  { readonly batch: readonly Uint8Array[]; readonly bytes: Uint8Array }
>();

/** One frame goes out as it is, and several are joined once: the same bytes to all watchers at one place. */
function joined(batch: readonly Uint8Array[]): Uint8Array | undefined {
  const [first] = batch;
  if (first === undefined || batch.length === 1) return first;
  const known = joins.get(first);
  if (known?.batch.length === batch.length && batch.every((one, i) => one === known.batch[i])) {
    return known.bytes;
  }
  const bytes = Buffer.concat(batch);
  joins.set(first, { batch, bytes });
  return bytes;
}

function frame(type: EventType, object: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, FRAME_END]);
}
const FRAME_END = Buffer.from("}\n");

/** Rings when there are changes, when the caller is gone, when the server ends, or when time is up. */
class Bell implements Disposable {
  readonly #deps: WatchDeps;
  readonly #subscription: Disposable;
  #answer: (() => void) | undefined;
  readonly #ring = () => this.#answer?.();
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    // Whoever stops the server notifies all caches.
    this.#subscription = deps.kindCache.onChange(this.#ring);
    deps.signal.addEventListener("abort", this.#ring);
  }

  /** Resolves at the next ring, or at that time. The timer is kept from wait to wait: waits are many. */
  async rungBy(timeMs: number): Promise<void> {
    if (timeMs !== this.#timerMs) {
      clearTimeout(this.#timer);
      // Node cuts longer timers to 1 ms.
      this.#timer = setTimeout(
        () => {
          this.#timerMs = Infinity;
          this.#ring();
        },
        Math.min(timeMs - this.#deps.now(), 0x7fffffff),
      );
      // A reader that just stops reading must not keep the process alive.
      this.#timer.unref();
      this.#timerMs = timeMs;
    }
    await new Promise<void>((resolve) => {
      this.#answer = resolve;
    });
    this.#answer = undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#subscription[Symbol.dispose]();
    this.#deps.signal.removeEventListener("abort", this.#ring);
  }
}
