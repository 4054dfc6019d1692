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

async function* stream(
  deps: WatchDeps,
  items: readonly Served[],
  start: number,
  revision: number,
): AsyncIterable<Uint8Array> {
  const { query, renderer } = deps;
  yield* initialEvents(deps, items);
  if (query.sendInitialEvents === true && query.allowWatchBookmarks) {
    yield frame("BOOKMARK", renderer.bookmark(revision, true));
  }
  yield* changes(deps, start);
}

async function* initialEvents(
  deps: WatchDeps,
  items: readonly Served[],
): AsyncIterable<Uint8Array> {
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

async function* changes(deps: WatchDeps, start: number): AsyncIterable<Uint8Array> {
  const { cache, kindCache, query, renderer, now } = deps;
  const seconds = query.timeoutSeconds ?? 0;
  const timeoutMs = 1000 * (seconds > 0 ? seconds : DEFAULT_TIMEOUT_SECONDS * (1 + Math.random()));
  const endsAt = now() + timeoutMs;
  let nextBookmark = query.allowWatchBookmarks ? now() + BOOKMARK_EVERY_MS : Infinity;
  let cursor = start;
  using bell = new Bell(deps);
  for (;;) {
    if (deps.signal.aborted || deps.stopping.aborted) return;
    const read = kindCache.readFrom(cursor, BATCH_EVENTS);
    if (read.kind === "lost") {
      const failure = expired(
        "too old resource version: this watch fell behind the recent changes",
      );
      yield frame("ERROR", Buffer.from(JSON.stringify(failure.status)));
      return;
    }
    cursor = read.next;
    const batch = read.events.flatMap((event) => frameOf(event, deps) ?? []);
    if (batch.length > 0) yield Buffer.concat(batch);
    if (read.events.length > 0) continue;
    const time = now();
    if (time >= endsAt) {
      if (query.allowWatchBookmarks)
        yield frame("BOOKMARK", renderer.bookmark(cache.revision, false));
      return;
    }
    if (time >= nextBookmark) {
      nextBookmark = time + BOOKMARK_EVERY_MS;
      yield frame("BOOKMARK", renderer.bookmark(cache.revision, false));
      continue;
    }
    await bell.rung(Math.min(endsAt, nextBookmark) - time);
  }
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

function frame(type: EventType, object: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, FRAME_END]);
}
const FRAME_END = Buffer.from("}\n");

/** Rings when there are changes, when the caller is gone, when the server ends, or when time is up. */
class Bell implements Disposable {
  readonly #deps: WatchDeps;
  readonly #subscription: Disposable;
  #ring: () => void = () => {};
  readonly #rung = () => this.#ring();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#subscription = deps.kindCache.onChange(this.#rung);
    deps.signal.addEventListener("abort", this.#rung);
    deps.stopping.addEventListener("abort", this.#rung);
  }

  async rung(withinMs: number): Promise<void> {
    const { promise, resolve } = deferred();
    this.#ring = resolve;
    // Node cuts longer timers to 1 ms.
    const timer = setTimeout(resolve, Math.min(withinMs, 0x7fffffff));
    await promise;
    clearTimeout(timer);
    this.#ring = () => {};
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.#deps.signal.removeEventListener("abort", this.#rung);
    this.#deps.stopping.removeEventListener("abort", this.#rung);
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
