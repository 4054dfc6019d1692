import { eventKind } from "../api/v1/event.kind.ts";
import type { Event } from "../api/v1/event.ts";
import type { ObjectReference } from "../api/v1/reference.ts";
import type { Draft, KubernetesObject } from "../api/machinery/metadata.ts";
import { StatusError, hasReason } from "../api/machinery/status.ts";
import { backoff } from "../async/backoff.ts";
import { withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ApiClient } from "./client.ts";
import { EventCorrelator } from "./event-correlator.ts";

export interface EventRecorderDeps {
  readonly client: Pick<ApiClient, "create" | "patch">;
  /** Who reports, e.g. `endpoint-slice-controller`. */
  readonly component: string;
  /** The node that reports; "" when that does not matter. */
  readonly host: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
  /** In [0, 1), for names and jitter; default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Tells users what happened to their objects (`kubectl describe`, `kubectl events`). */
export interface EventRecorder extends AsyncDisposable {
  /**
   * Writes a core/v1 Event soon. Never throws and never waits: Events are news, and are dropped when the API
   * stays away, when more than 1,000 different ones wait, or when there were too many about the object
   * ({@link EventCorrelator}). `reason` is one CamelCase word.
   */
  record(object: ObjectReference, type: EventType, reason: string, message: string): void;
  /** Resolves when everything recorded so far is written or dropped. */
  idle(): Promise<void>;
}

export type EventType = "Normal" | "Warning";

/** The reference to an object that its events carry; `fieldPath` names a part, `spec.containers{web}`. */
export function referenceTo(object: KubernetesObject, fieldPath?: string): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return {
    kind: object.kind,
    apiVersion: object.apiVersion,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

/** The same news within this time of the last counts up the Event that there is (client-go's correlator). */
const AGGREGATION_MS = 10 * 60_000;
/** Different news that may wait to be written; more are dropped. */
const MAX_WAITING = 1_000;
/** Written Events remembered for counting, as client-go's cache. */
const MAX_REMEMBERED = 4_096;
/** About ten seconds in all; then the news is old. */
const MAX_ATTEMPTS = 6;
const RETRY = { baseMs: 200, maxMs: 5_000 };
/** What waits at disposal gets this long to be written. */
const FLUSH_MS = 1_000;
/** Room for the dot and the suffix in a name of 253. */
const MAX_NAME_PREFIX = 230;

interface News {
  readonly object: ObjectReference;
  readonly type: EventType;
  readonly reason: string;
  /** The last one, of those that are one Event. */
  message: string;
  readonly firstMs: number;
  lastMs: number;
  count: number;
}

interface Written {
  readonly namespace: string;
  readonly name: string;
  readonly count: number;
  readonly lastMs: number;
}

export function createEventRecorder(deps: EventRecorderDeps): EventRecorder {
  return new QueuedEventRecorder(deps);
}

class QueuedEventRecorder implements EventRecorder {
  readonly #deps: EventRecorderDeps;
  readonly #random: () => number;
  /** What waits, by identity: the same news again only counts up, so a storm of it costs one write. */
  readonly #waiting = new Map<string, News>();
  /** By identity, the longest unchanged first. */
  readonly #written = new Map<string, Written>();
  readonly #correlator = new EventCorrelator();
  readonly #ended = new AbortController();
  #worker: Promise<void> | undefined;
  #isClosed = false;
  #isAway = false;
  #dropped = 0;
  /** Tells names of one millisecond apart; starts anywhere, as several recorders may write. */
  #sequence: number;

  constructor(deps: EventRecorderDeps) {
    this.#deps = deps;
    this.#random = deps.random ?? Math.random;
    this.#sequence = Math.floor(this.#random() * 1e6);
  }

  record(object: ObjectReference, type: EventType, reason: string, given: string): void {
    if (this.#isClosed) return;
    const nowMs = this.#deps.now();
    const { id, message } = this.#correlator.correlate(object, type, reason, given, nowMs);
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      waiting.count += 1;
      waiting.message = message;
      waiting.lastMs = nowMs;
      return;
    }
    if (!this.#correlator.mayWrite(object, nowMs)) {
      this.#deps.log.debug("too many events about one object", { object: object.name, reason });
      return;
    }
    if (this.#waiting.size >= MAX_WAITING) {
      this.#dropped += 1;
      if (this.#dropped === 1) this.#deps.log.warn("dropping events", { waiting: MAX_WAITING });
      return;
    }
    const news = { object, type, reason, message, firstMs: nowMs, lastMs: nowMs, count: 1 };
    this.#waiting.set(id, news);
    this.#worker ??= this.#drain();
  }

  async idle(): Promise<void> {
    while (this.#worker !== undefined) await this.#worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    // Rejects with the deadline: what is not written by then is given up.
    await withDeadline(FLUSH_MS, undefined, () => this.idle()).catch(() => undefined);
    this.#ended.abort(new Error("the event recorder was stopped"));
    await this.idle();
  }

  /** Writes one after the other until nothing waits. Never rejects. */
  async #drain(): Promise<void> {
    // So that `record` has set #worker before this can end.
    await Promise.resolve();
    for (const [id, news] of this.#waiting) {
      this.#waiting.delete(id);
      if (!this.#ended.signal.aborted) await this.#deliver(id, news);
    }
    if (this.#dropped > 0) this.#deps.log.info("dropped events", { dropped: this.#dropped });
    this.#dropped = 0;
    this.#worker = undefined;
  }

  async #deliver(id: string, news: News): Promise<void> {
    const { signal } = this.#ended;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      try {
        this.#remember(id, await this.#write(id, news));
        this.#isAway = false;
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (isFinal(error)) {
          this.#noteRefusal(news, error);
          return;
        }
        if (!this.#isAway) this.#deps.log.warn("events cannot be written", { error });
        this.#isAway = true;
      }
      // Rejects only when the signal aborts; the next attempt then ends at once.
      await sleep(backoff(attempt, RETRY, this.#random), signal).catch(() => undefined);
    }
    this.#dropped += 1;
  }

  async #write(id: string, news: News): Promise<Written> {
    const { client } = this.#deps;
    const { signal } = this.#ended;
    const known = this.#written.get(id);
    if (known !== undefined && news.firstMs - known.lastMs < AGGREGATION_MS) {
      const count = known.count + news.count;
      const body = { count, lastTimestamp: timeText(news.lastMs), message: news.message };
      try {
        await client.patch(eventKind, known, { kind: "merge", body }, { signal });
        return { ...known, count, lastMs: news.lastMs };
      } catch (error) {
        // Events live for an hour, and anybody may delete them.
        if (!hasReason(error, "NotFound")) throw error;
      }
    }
    const event = this.#eventOf(news);
    const created = await client.create(eventKind, event, { signal });
    const { namespace = "default", name } = created.metadata;
    return { namespace, name, count: news.count, lastMs: news.lastMs };
  }

  #eventOf(news: News): Draft<Event> {
    const { component, host } = this.#deps;
    const { object } = news;
    // The events of objects of the cluster live in "default".
    const namespace = object.namespace ?? "default";
    // A name as client-go's: object and nanoseconds in hex; the clock gives milliseconds only.
    this.#sequence = (this.#sequence + 1) % 1e6;
    const nanoseconds = BigInt(news.firstMs) * 1_000_000n + BigInt(this.#sequence);
    const prefix = (object.name ?? "").slice(0, MAX_NAME_PREFIX).replace(/[-.]+$/, "");
    return {
      metadata: { namespace, name: `${prefix}.${nanoseconds.toString(16)}` },
      involvedObject: object,
      reason: news.reason,
      message: news.message,
      type: news.type,
      count: news.count,
      firstTimestamp: timeText(news.firstMs),
      lastTimestamp: timeText(news.lastMs),
      source: { component, ...(host === "" ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host,
    };
  }

  #remember(id: string, written: Written): void {
    this.#written.delete(id);
    this.#written.set(id, written);
    if (this.#written.size <= MAX_REMEMBERED) return;
    const oldest = this.#written.keys().next();
    if (oldest.done !== true) this.#written.delete(oldest.value);
  }

  #noteRefusal(news: News, error: unknown): void {
    const fields = { reason: news.reason, object: news.object.name, error };
    // The namespace is going or gone, and with it the reader.
    if (hasReason(error, "Forbidden", "NotFound")) this.#deps.log.debug("event refused", fields);
    else this.#deps.log.warn("event refused", fields);
  }
}

/** The server will say the same again. */
function isFinal(error: unknown): boolean {
  return error instanceof StatusError && error.code < 500 && error.code !== 429;
}

/** metav1.Time: seconds. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
