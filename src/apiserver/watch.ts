import type { Status } from "../api/machinery/status.ts";
import { SourceBody } from "./exchange.ts";
import type { ChunkSource } from "./exchange.ts";
import { expired, tooOldVersion } from "./failures.ts";
import type { CacheEvent, KindCache } from "./kind-cache.ts";
import type { Selection } from "./list.ts";
import type { ListQuery } from "./query.ts";
import type { Served } from "./stored.ts";
import type { WatchCache } from "./watch-cache.ts";

/** How one watcher is told of events: as bytes of its stream, or as objects. */
export interface EventWriter<C> {
  /** These items as ADDED, as far as they are selected, in chunks of some size. */
  initial(items: readonly Served[]): Iterable<C>;
  /** These changes as this watch has them; undefined when none is its own. */
  changes(events: readonly CacheEvent[]): C | undefined;
  bookmark(revision: number, isInitialEnd: boolean): C;
  error(status: Status): C;
}

export interface WatchDeps<C> {
  readonly cache: WatchCache;
  readonly kindCache: KindCache;
  readonly selection: Selection;
  readonly query: ListQuery;
  readonly writer: EventWriter<C>;
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

/**
 * Starts a watch. The position is fixed before this resolves; frames are made as they are read, so a
 * reader that does not read costs nothing and, once the ring has moved past it, gets a 410 ERROR event.
 * @throws StatusError 504 for a version that this server has not seen.
 */
export async function openWatch<C>(deps: WatchDeps<C>): Promise<AsyncIterable<C>> {
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
    return oneOf(deps.writer.error(failure.status));
  }
  return new SourceBody(new WatchSource(deps, opening(deps, items, revision), cursor));
}

/** What comes before any change. */
function* opening<C>(
  { query, writer }: WatchDeps<C>,
  items: readonly Served[],
  revision: number,
): Iterator<C, undefined> {
  yield* writer.initial(items);
  if (query.sendInitialEvents === true && query.allowWatchBookmarks) {
    yield writer.bookmark(revision, true);
  }
  return undefined;
}

async function* oneOf<C>(chunk: C): AsyncIterable<C> {
  yield chunk;
}

/** One watch: where it stands among the changes, and when it has something to say without any. */
class WatchSource<C> implements ChunkSource<C> {
  readonly #deps: WatchDeps<C>;
  #opening: Iterator<C, undefined> | undefined;
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

  constructor(deps: WatchDeps<C>, first: Iterator<C, undefined>, cursor: number) {
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

  next(): C | "wait" | "end" {
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
  #changes(): C | undefined {
    for (;;) {
      const read = this.#deps.kindCache.readFrom(this.#cursor, BATCH_EVENTS);
      if (read.kind === "lost") {
        this.close();
        const failure = expired("too old resource version: this watch fell behind recent changes");
        return this.#deps.writer.error(failure.status);
      }
      if (read.events.length === 0) return undefined;
      this.#cursor = read.next;
      const chunk = this.#deps.writer.changes(read.events);
      if (chunk !== undefined) return chunk;
    }
  }

  /** What there is to say without changes. */
  #quiet(): C | "wait" | "end" {
    const { cache, kindCache, query, writer, now } = this.#deps;
    const time = now();
    const isOver = kindCache.isClosed || time >= this.#endsAt;
    if (isOver) this.close();
    const isDue = query.allowWatchBookmarks && (isOver || time >= this.#nextBookmark);
    if (isDue && !kindCache.isClosed) {
      this.#nextBookmark = time + BOOKMARK_EVERY_MS;
      return writer.bookmark(cache.revision, false);
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
