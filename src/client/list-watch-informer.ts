import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { StatusError, hasReason } from "../api/machinery/status.ts";
import { backoff } from "../async/backoff.ts";
import { abortable, withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ApiClient, WatchEvent } from "./client.ts";
import { IndexedCache } from "./indexed-cache.ts";
import type { Change, Informer, InformerScope } from "./informer.ts";
import type { InformerMetrics } from "./informer-metrics.ts";

export interface ListWatchDeps<T extends KubernetesObject> {
  readonly client: Pick<ApiClient, "list" | "watch">;
  readonly log: Logger;
  readonly metrics: InformerMetrics;
  /** In [0, 1). */
  readonly random: () => number;
  /** What is kept of an object; must keep its metadata's name, namespace, uid and resourceVersion. */
  readonly transform: (object: T) => T;
}

/** From a quick second try, for a server that restarts beside us, to what a cluster of many can bear. */
const RETRY = { baseMs: 50, maxMs: 30_000 };
/** Servers end a watch after 5 to 10 minutes, as client-go asks, so that not all return at once. */
const WATCH_MIN_SECONDS = 300;
/** A watch that outlives what we asked for by this much is held by a connection that is dead. */
const WATCH_GRACE_MS = 30_000;
/** A watch that ends sooner without an event is a server that refuses politely: counts as a failure. */
const SHORT_WATCH_MS = 1_000;

/** An {@link Informer} by list and watch. Disposal ends the watch and waits for the loop. */
export class ListWatchInformer<T extends KubernetesObject> implements Informer<T>, AsyncDisposable {
  readonly kind: KindDefinition<T>;
  readonly #scope: InformerScope;
  readonly #deps: ListWatchDeps<T>;
  readonly #cache = new IndexedCache<T>();
  /** Replaced, never changed, so that a change is told to those who listened when it came. */
  #listeners: readonly Listener<T>[] = [];
  readonly #ended = new AbortController();
  readonly #loop: Promise<void>;
  readonly #synced: Promise<void>;
  #markSynced: () => void = () => undefined;
  #hasSynced = false;
  #lastError: Error | undefined;
  /** Where the next watch starts; undefined: list first. */
  #version: string | undefined;
  /** Attempts in a row that failed or ended at once with nothing. */
  #failures = 0;

  constructor(kind: KindDefinition<T>, scope: InformerScope, deps: ListWatchDeps<T>) {
    this.kind = kind;
    this.#scope = scope;
    this.#deps = { ...deps, log: deps.log.with({ resource: resourceNameOf(kind) }) };
    this.#synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
    this.#loop = this.#run(this.#ended.signal);
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get lastError(): Error | undefined {
    return this.#lastError;
  }

  async synced(signal: AbortSignal): Promise<void> {
    if (this.#hasSynced) return;
    await abortable(signal, this.#synced);
  }

  get(key: ObjectKey): T | undefined {
    return this.#cache.get(key);
  }

  list(): readonly T[] {
    return this.#cache.list();
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#cache.byIndex(index, value);
  }

  addIndex(index: string, values: (object: T) => readonly string[]): void {
    this.#cache.addIndex(index, values);
  }

  onChange(call: (change: Change<T>) => void): Disposable {
    const listener: Listener<T> = { call, isActive: true };
    for (const after of this.#cache.list()) {
      this.#tell(listener, { key: keyOf(after), before: undefined, after });
    }
    this.#listeners = [...this.#listeners, listener];
    return {
      [Symbol.dispose]: () => {
        listener.isActive = false;
        this.#listeners = this.#listeners.filter((other) => other !== listener);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error(`the informer of ${resourceNameOf(this.kind)} was stopped`));
    await this.#loop;
    this.#listeners = [];
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let delayMs = 0;
      try {
        this.#version ??= await this.#list(signal).catch((error: unknown) => {
          this.#failures += 1;
          throw error;
        });
        delayMs = await this.#watch(this.#version, signal);
      } catch (error) {
        if (signal.aborted) return;
        delayMs = this.#noteFailure(error);
      }
      // Rejects only when the signal aborts, which the loop's condition sees.
      if (delayMs > 0) await sleep(delayMs, signal).catch(() => undefined);
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { items, resourceVersion } = await this.#deps.client.list(this.kind, {
      ...this.#scope,
      keep: this.#deps.transform,
      signal,
    });
    // All is in before anybody hears of a part, so that a listener never sees half a list.
    const changes = this.#cache.replace(items);
    this.#deps.metrics.listed(this.kind, this.#cache.size);
    this.#hasSynced = true;
    for (const change of changes) this.#tellAll(change);
    this.#markSynced();
    return resourceVersion;
  }

  /** Follows changes until the server ends the watch; gives the milliseconds to wait before the next. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<number> {
    const { client, random } = this.#deps;
    const timeoutSeconds = Math.round(WATCH_MIN_SECONDS * (1 + random()));
    let openedMs = Number.POSITIVE_INFINITY;
    let events = 0;
    try {
      await withDeadline(timeoutSeconds * 1000 + WATCH_GRACE_MS, signal, async (bounded) => {
        const watch = client.watch(this.kind, {
          ...this.#scope,
          resourceVersion,
          timeoutSeconds,
          opened: () => {
            openedMs = performance.now();
            this.#noteRecovery();
          },
          signal: bounded,
        });
        for await (const event of watch) {
          // What comes after disposal is not told: its listeners may be gone.
          if (bounded.aborted) return;
          events += 1;
          this.#apply(event);
        }
      });
    } finally {
      if (performance.now() - openedMs >= SHORT_WATCH_MS) this.#failures = 0;
      else if (events === 0) this.#failures += 1;
    }
    return events === 0 && this.#failures > 0 ? this.#retryDelayMs() : 0;
  }

  #apply({ type, object }: WatchEvent<T>): void {
    this.#version = object.metadata.resourceVersion ?? this.#version;
    this.#deps.metrics.event(this.kind, type);
    if (type === "BOOKMARK") return;
    const change =
      type === "DELETED"
        ? this.#cache.remove(keyOf(object))
        : this.#cache.put(this.#deps.transform(object));
    if (change === undefined) return;
    this.#deps.metrics.holds(this.kind, this.#cache.size);
    this.#tellAll(change);
  }

  #tellAll(change: Change<T>): void {
    for (const listener of this.#listeners) this.#tell(listener, change);
  }

  #tell(listener: Listener<T>, change: Change<T>): void {
    if (!listener.isActive) return;
    try {
      listener.call(change);
    } catch (error) {
      // One reader's defect must not stop the others' news.
      this.#deps.log.error("informer listener threw", { key: change.key, error });
    }
  }

  /** Gives the milliseconds to wait before the next attempt. */
  #noteFailure(error: unknown): number {
    const failure = error instanceof Error ? error : new Error(String(error));
    // A server that finds no fault with the version may be asked again from there; any other lists anew.
    if (error instanceof StatusError && error.code < 429) this.#version = undefined;
    if (isVersionUnknown(error)) {
      // Ordinary after a long absence: list again, and at once unless that did not help just now.
      this.#version = undefined;
      this.#deps.log.info("listing again", { reason: failure.message });
      return this.#failures <= 1 ? 0 : this.#retryDelayMs();
    }
    this.#deps.metrics.failed(this.kind);
    if (this.#lastError === undefined) {
      this.#deps.log.warn("not following the API", { error: failure });
    } else {
      this.#deps.log.debug("still not following the API", { error: failure });
    }
    this.#lastError = failure;
    return Math.max(this.#retryDelayMs(), retryAfterMs(failure));
  }

  #retryDelayMs(): number {
    return backoff(this.#failures - 1, RETRY, this.#deps.random);
  }

  #noteRecovery(): void {
    if (this.#lastError === undefined) return;
    this.#lastError = undefined;
    this.#deps.log.info("following the API again");
  }
}

interface Listener<T> {
  readonly call: (change: Change<T>) => void;
  isActive: boolean;
}

/**
 * The server has forgotten the version (410), or never had it (504 with this cause): its state is another's,
 * such as that of a store that was made anew.
 */
function isVersionUnknown(error: unknown): boolean {
  if (hasReason(error, "Expired", "Gone")) return true;
  const causes = error instanceof StatusError ? (error.status.details?.causes ?? []) : [];
  return causes.some((cause) => cause.reason === "ResourceVersionTooLarge");
}

function retryAfterMs(error: Error): number {
  const seconds = error instanceof StatusError ? (error.status.details?.retryAfterSeconds ?? 0) : 0;
  return Math.min(seconds * 1000, RETRY.maxMs);
}
