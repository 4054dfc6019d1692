/**
 * One HTTP exchange with an API server, whether over a socket or within the process. The API server's
 * handler has the same shape, so that a program that runs both joins them without a socket.
 */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS";
  /** Path and query, e.g. `/api/v1/services?watch=true`. */
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal: AbortSignal;
}

export interface TransportResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Chunks as they come; a watch ends only when the request's signal aborts or the server ends it. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What the body would say, from a server in this process; nobody may change it. */
  readonly value?: unknown;
  /** The events of a watch, from a server in this process; nobody may change their objects. */
  readonly events?: AsyncIterable<readonly unknown[]> | undefined;
}

/** @throws the signal's reason, or an Error with the socket's code when the server cannot be reached. */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>;
