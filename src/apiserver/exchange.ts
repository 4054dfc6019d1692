import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { StatusError } from "../api/machinery/status.ts";

/** One HTTP request, whether it came over a socket or from within the process. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS";
  /** Path and query, e.g. `/api/v1/services?watch=true`. */
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body; whoever listens has bounded its size. */
  readonly body?: Uint8Array | undefined;
  /** The body as it comes, if there is one, for paths that `streamsBody` names; those have no `body`. */
  readonly stream?: Readable | undefined;
  /**
   * The caller is in this process and takes the server's own objects, in `value` and `events` of the answer, in
   * place of JSON. It must not change them. A JSON body of its own is of JSON.stringify.
   */
  readonly takesObjects?: boolean | undefined;
  /** Set when the caller asks to speak another protocol on its connection. */
  readonly upgrade?: UpgradeOffer | undefined;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
}

/** A connection that may leave HTTP. Who takes it over answers with {@link TAKEN}. */
export interface UpgradeOffer {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  /** What has come after the request's head already. */
  readonly head: Uint8Array;
}

export interface ApiResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Chunks as they come; a watch ends when the request's signal aborts or the server ends it. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What the body would say, for a caller that takes objects; then the body is empty. */
  readonly value?: unknown;
  /** The events of a watch as they come, for a caller that takes objects; then the body is empty. */
  readonly events?: AsyncIterable<readonly ObjectEvent[]> | undefined;
  /** Values of set-cookie, the one header that may not be joined into one line. */
  readonly cookies?: readonly string[] | undefined;
}

/** An event of a watch; the object of ERROR is a Status. */
export interface ObjectEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: unknown;
}

/** The connection speaks another protocol from now on; whoever listens leaves it alone. */
export const TAKEN: ApiResponse = { status: 101, headers: {}, body: chunksOf() };

/** Who asks; made by whoever authenticated the request. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
  /** What else is known, such as the Pod that a token is bound to. */
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

export const JSON_TYPE = "application/json";

/** A whole body in one chunk. */
export async function* chunksOf(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}

/** A body that is known whole: who sends it need not go through its iterator. */
export class WholeBody implements AsyncIterable<Uint8Array> {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    yield this.bytes;
  }
}

/** What gives the chunks of a stream without a promise for each. */
export interface ChunkSource<C = Uint8Array> {
  /** "wait": there is none for now; "end": there is none any more. Holds nothing before it is first called. */
  next(): C | "wait" | "end";
  /** Calls `ready`, in place of the one before, whenever there may be another chunk or the end. */
  onReady(ready: () => void): void;
  /** Lets go of what the source holds; whoever reads calls it when there will be no next call. */
  close(): void;
}

/**
 * A stream whose chunks can be taken as they come, as the listener does: a change goes to thousands of watches,
 * and through iterators the promises cost more than the sending. Any other reader iterates.
 */
export class SourceBody<C = Uint8Array> implements AsyncIterable<C> {
  readonly source: ChunkSource<C>;

  constructor(source: ChunkSource<C>) {
    this.source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<C, void> {
    const { source } = this;
    try {
      for (;;) {
        const chunk = source.next();
        if (chunk === "end") return;
        // Nothing can become ready between the answer "wait" and this.
        if (chunk === "wait") await new Promise<void>((resolve) => source.onReady(resolve));
        else yield chunk;
      }
    } finally {
      source.close();
    }
  }
}

export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  return bytesResponse(status, Buffer.from(JSON.stringify(value)), headers);
}

/** JSON that is already serialized. */
export function bytesResponse(
  status: number,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  return {
    status,
    headers: { "content-type": JSON_TYPE, "content-length": String(bytes.length), ...headers },
    body: new WholeBody(bytes),
  };
}

/** The answer to a caller that takes objects. */
export function valueResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  return { status, headers, body: NOTHING, value };
}

/** The body of an answer that hands objects over. */
export const NOTHING = new WholeBody(new Uint8Array());

export function textResponse(status: number, text: string, type = "text/plain; charset=utf-8") {
  return bytesResponse(status, Buffer.from(text), { "content-type": type });
}

/** The answer that a failure becomes; 429 carries when to try again. */
export function failureResponse(error: StatusError): ApiResponse {
  const seconds = error.status.details?.retryAfterSeconds;
  return jsonResponse(
    error.code,
    error.status,
    seconds === undefined ? {} : { "retry-after": String(seconds) },
  );
}

/** Reads a body to its end; for bodies known to be short. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
