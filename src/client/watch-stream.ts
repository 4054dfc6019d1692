import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { StatusError } from "../api/machinery/status.ts";
import { DeadlineError } from "../async/deadline.ts";
import { reasonOf } from "../async/sleep.ts";
import { errorOf, isStatus, parseJson, readLines, readText } from "./body.ts";
import { WATCH_EVENT_TYPES } from "./client.ts";
import type { WatchEvent } from "./client.ts";
import type { Transport, TransportResponse } from "./transport.ts";

export interface WatchStreamRequest {
  readonly transport: Transport;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Time until the server has accepted the watch; after that it may be silent for as long as it likes. */
  readonly openTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly opened: (() => void) | undefined;
  noteWarnings(response: TransportResponse): void;
}

/**
 * Events of one watch as they come. Leaving the loop ends the request. @throws StatusError of the answer or
 * of an ERROR event; the signal's reason.
 */
export async function* watchStream<T extends KubernetesObject>(
  request: WatchStreamRequest,
): AsyncGenerator<WatchEvent<T>> {
  const { signal } = request;
  if (signal?.aborted === true) throw reasonOf(signal);
  // Its own controller: ends the request when the consumer leaves, and leaves nothing on the caller's signal.
  const controller = new AbortController();
  const onAbort = (): void => {
    if (signal !== undefined) controller.abort(reasonOf(signal));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    controller.abort(new DeadlineError(request.openTimeoutMs));
  }, request.openTimeoutMs);
  try {
    const response = await request.transport({
      method: "GET",
      url: request.url,
      headers: request.headers,
      signal: controller.signal,
    });
    request.noteWarnings(response);
    if (response.status !== 200) throw errorOf(response, await readText(response));
    clearTimeout(timer);
    request.opened?.();
    if (response.events === undefined) {
      for await (const line of readLines(response.body)) yield eventOf<T>(parseJson(line));
      return;
    }
    for await (const events of response.events) {
      for (const event of events) yield eventOf<T>(event);
    }
  } catch (error) {
    // Whatever a transport throws when it is aborted, the caller gets the reason.
    throw controller.signal.aborted ? reasonOf(controller.signal) : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    controller.abort(new Error("the watch was left"));
  }
}

function eventOf<T>(event: unknown): WatchEvent<T> {
  if (typeof event !== "object" || event === null || !("type" in event) || !("object" in event)) {
    throw new Error(`not a watch event: ${quote(event)}`);
  }
  if (event.type === "ERROR") {
    if (isStatus(event.object)) throw new StatusError(event.object);
    throw new Error(`the watch failed: ${quote(event)}`);
  }
  const type = WATCH_EVENT_TYPES.find((known) => known === event.type);
  if (type === undefined) throw new Error(`unknown watch event: ${quote(event)}`);
  // The server answers objects of the kind that was asked for.
  return { type, object: event.object as T };
}

function quote(event: unknown): string {
  return JSON.stringify(event).slice(0, 200);
}
