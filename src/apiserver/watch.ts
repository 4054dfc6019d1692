import { SourceBody, chunksOf } from "./exchange.ts";
import type { ChunkSource } from "./exchange.ts";
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
    return chunksOf(frame("ERROR", Buffer.from(JSON.stringify(failure.status))));
  }
  return new SourceBody(new WatchSource(deps, opening(deps, items, revision), cursor));
}

/** What comes before any change. */
function* opening(
  deps: WatchDeps,
  items: readonly Served[],
  revision: number,
): Iterator<Uint8Array, undefined> {
  yield* initialEvents(deps, items);
  const { query, renderer } = deps;
  if (query.sendInitialEvents === true && query.allowWatchBookmarks) {
    yield frame("BOOKMARK", renderer.bookmark(revision, true));
  }
  return undefined;
}

/** One watch: where it stands among the changes, and when it has something to say without any. */
class WatchSource implements ChunkSource {
  readonly #deps: WatchDeps;
  #opening: Iterator<Uint8Array, undefined> | undefined;
  #cursor: number;
  readonly #endsAt: number;
  #nextBookmark: number;
  #state: "new" | "open" | "over" = "new";
  #ready: () => void = () => {};
  /** Rings when there are changes, when the caller is gone, when the server ends, or when time is up. */
  readonly #ring = () => this.#ready();
  readonly #abandon = () => {
    this.close();
    this.#ready();
  };
  #subscription: Disposable | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;

  constructor(deps: WatchDeps, first: Iterator<Uint8Array, undefined>, cursor: number) {
    const { query, now } = deps;
    this.#deps = deps;
    this.#opening = first;
    this.#cursor = cursor;
    this.#endsAt = now() + 1000 * timeoutSecondsOf(query);
    this.#nextBookmark = query.allowWatchBookmarks ? now() + BOOKMARK_EVERY_MS : Infinity;
  }

  onReady(ready: () => void): void {
    this.#ready = ready;
  }

  next(): Uint8Array | "wait" | "end" {
    if (this.#state === "new") this.#start();
    if (this.#deps.stopping.aborted) this.close();
    if (this.#state === "over") return "end";
    const first = this.#opening?.next().value;
    if (first !== undefined) return first;
    this.#opening = undefined;
    return this.#changes() ?? this.#quiet();
  }

  close(): void {
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
    this.#opening = undefined;
    this.#deps.signal.removeEventListener("abort", this.#abandon);
  }

  #start(): void {
    const { signal, kindCache } = this.#deps;
    this.#state = signal.aborted ? "over" : "open";
    if (this.#state === "over") return;
    // Whoever stops the server notifies all caches.
    this.#subscription = kindCache.onChange(this.#ring);
    signal.addEventListener("abort", this.#abandon);
  }

  /** The next changes that are this watch's; undefined when there are none. */
  #changes(): Uint8Array | undefined {
    for (;;) {
      const read = this.#deps.kindCache.readFrom(this.#cursor, BATCH_EVENTS);
      if (read.kind === "lost") {
        this.close();
        const failure = expired("too old resource version: this watch fell behind recent changes");
        return frame("ERROR", Buffer.from(JSON.stringify(failure.status)));
      }
      if (read.events.length === 0) return undefined;
      this.#cursor = read.next;
      const chunk = chunkOf(read.events, this.#deps);
      if (chunk !== undefined) return chunk;
    }
  }

  /** What there is to say without changes. */
  #quiet(): Uint8Array | "wait" | "end" {
    const { cache, kindCache, query, renderer, now } = this.#deps;
    const time = now();
    const isOver = kindCache.isClosed || time >= this.#endsAt;
    if (isOver) this.close();
    const isDue = query.allowWatchBookmarks && (isOver || time >= this.#nextBookmark);
    if (isDue && !kindCache.isClosed) {
      this.#nextBookmark = time + BOOKMARK_EVERY_MS;
      return frame("BOOKMARK", renderer.bookmark(cache.revision, false));
    }
    if (isOver) return "end";
    this.#ringAt(Math.min(this.#endsAt, this.#nextBookmark));
    return "wait";
  }

  /** The timer is kept from wait to wait: waits are many. */
  #ringAt(timeMs: number): void {
    if (timeMs === this.#timerMs) return;
    clearTimeout(this.#timer);
    // Node cuts longer timers to 1 ms.
    const delayMs = Math.min(timeMs - this.#deps.now(), 0x7fffffff);
    this.#timer = setTimeout(() => {
      this.#timerMs = Infinity;
      this.#ready();
    }, delayMs);
    // A reader that just stops reading must not keep the process alive.
    this.#timer.unref();
    this.#timerMs = timeMs;
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

/** These changes as this watch has them; undefined when none is its own. */
function chunkOf(events: readonly CacheEvent[], deps: WatchDeps): Uint8Array | undefined {
  const batch: Uint8Array[] = [];
  for (const event of events) {
    const bytes = frameOf(event, deps);
    if (bytes !== undefined) batch.push(bytes);
  }
  return joined(batch);
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
