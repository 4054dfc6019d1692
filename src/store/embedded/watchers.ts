import type { StoreEvent } from "../store.ts";
import { CompactedError } from "../store.ts";

/** One reader of changes, with its own bounded backlog. */
export class Watcher {
  readonly prefix: string;
  readonly #bound: number;
  #backlog: (readonly StoreEvent[])[] = [];
  #backlogEvents = 0;
  #wake: (() => void) | undefined;
  #ended: "open" | "closed" | "behind" = "open";
  #lastRevision: number;

  constructor(prefix: string, revision: number, bound: number) {
    this.prefix = prefix;
    this.#lastRevision = revision;
    this.#bound = bound;
  }

  push(revision: number, events: readonly StoreEvent[]): void {
    if (this.#ended !== "open") return;
    this.#lastRevision = revision;
    const mine = events.filter((event) =>
      (event.kind === "put" ? event.entry.key : event.key).startsWith(this.prefix),
    );
    if (mine.length === 0) return;
    this.#backlog.push(mine);
    this.#backlogEvents += mine.length;
    if (this.#backlogEvents > this.#bound) {
      this.#ended = "behind";
      this.#backlog = [];
    }
    this.#wake?.();
  }

  end(): void {
    if (this.#ended === "open") this.#ended = "closed";
    this.#wake?.();
  }

  /** @throws CompactedError when this reader fell behind by more than its bound. */
  async *events(signal: AbortSignal): AsyncIterable<readonly StoreEvent[]> {
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const next = this.#backlog.shift();
        if (next !== undefined) {
          this.#backlogEvents -= next.length;
          yield next;
        } else if (this.#ended === "behind") {
          throw new CompactedError(this.#lastRevision);
        } else if (this.#ended === "closed") {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }
}

/** All readers of one store. */
export class WatcherSet {
  readonly #bound: number;
  readonly #watchers = new Set<Watcher>();

  constructor(bound: number) {
    this.#bound = bound;
  }

  add(prefix: string, revision: number): Watcher {
    const watcher = new Watcher(prefix, revision, this.#bound);
    this.#watchers.add(watcher);
    return watcher;
  }

  remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  publish(revision: number, events: readonly StoreEvent[]): void {
    for (const watcher of this.#watchers) watcher.push(revision, events);
  }

  end(): void {
    for (const watcher of this.#watchers) watcher.end();
  }
}
