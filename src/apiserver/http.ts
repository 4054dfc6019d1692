import type { IncomingMessage } from "node:http";
import { createSecureServer } from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { StatusError } from "../api/machinery/status.ts";
import type { Logger } from "../telemetry/log.ts";
import { Caller } from "./caller.ts";
import { SourceBody, WholeBody, failureResponse } from "./exchange.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { internalError, methodNotAllowed, tooManyRequests } from "./failures.ts";
import { serveUpgrade } from "./http-upgrade.ts";
import { cutAfterEnd, refuseUnread } from "./http-refusal.ts";
import { BODY_TIMEOUT_MS, readBody } from "./incoming-body.ts";
import { streamsBody } from "./proxy-path.ts";
import { NextTurn, pushed } from "./pushed.ts";

const MAX_HEADER_BYTES = 64 * 1024;
/** Connections that are still busy so long after the end was announced are cut. */
const CLOSE_GRACE_MS = 2000;
/** A watch is a stream, and one connection carries many of them. */
const MAX_CONCURRENT_STREAMS = 1000;
/** Open connections, whatever they do; those beyond are closed at once. */
const MAX_CONNECTIONS = 10_000;
/** A caller that has closed its side is given what it asked for; what has no end is cut after so long. */
const HALF_CLOSED_MS = 10_000;
/** The head of a request must be here within so long. */
const HEAD_TIMEOUT_MS = 30_000;
/** Connections that have left HTTP (exec, port-forward, watches of browsers); each holds a few descriptors. */
const MAX_UPGRADED = 1000;

export interface ListenOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string; readonly clientCa: string };
  /** `user` is undefined for a caller without a certificate of our authority. */
  readonly handler: (request: ApiRequest, user: User | undefined) => Promise<ApiResponse>;
  readonly log: Logger;
  /** How long callers are waited for; the default is for all but tests. */
  readonly patience?: Patience | undefined;
}

interface Patience {
  readonly headMs: number;
  readonly bodyMs: number;
  /** For endless answers to callers that have closed their side. */
  readonly halfClosedMs: number;
}

const PATIENCE: Patience = {
  headMs: HEAD_TIMEOUT_MS,
  bodyMs: BODY_TIMEOUT_MS,
  halfClosedMs: HALF_CLOSED_MS,
};

export interface HttpListener extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Serves a connection that came in elsewhere, such as at a Unix socket, as if it had come here. */
  readonly accept: (connection: Socket) => void;
}

/** The address cannot be listened on; the message names it and the way out. */
export class ListenError extends Error {
  readonly code: string;

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause });
    this.name = "ListenError";
    this.code = code;
  }
}

/**
 * Serves HTTP/2 and HTTP/1.1 over TLS. A client certificate gives the user: common name and organizations.
 * Disposing stops listening, ends watches and followed logs, announces the end on every connection, and cuts
 * what is left after 2 seconds.
 * @throws ListenError when the address is in use or not allowed.
 */
export async function listen(options: ListenOptions): Promise<HttpListener> {
  const { tls, log, patience = PATIENCE } = options;
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  const { headMs } = patience;
  const server = createSecureServer({
    allowHTTP1: true,
    allowHalfOpen: true,
    // Else what follows a short answer or event waits for the client's delayed acknowledgement: 40 ms.
    noDelay: true,
    key: tls.key,
    cert: tls.cert,
    ca: tls.clientCa,
    requestCert: true,
    // Who has no certificate is answered with a 401 that says so, not with a broken connection.
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
    handshakeTimeout: headMs,
    maxHeaderListPairs: 256,
    settings: {
      maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
      maxHeaderListSize: MAX_HEADER_BYTES,
      initialWindowSize: 256 * 1024,
    },
  });
  server.maxConnections = MAX_CONNECTIONS;
  // Over HTTP/1.1 a client may close its side once it has asked. The last two Node reads, and its types lack.
  Object.assign(server, {
    httpAllowHalfOpen: true,
    headersTimeout: headMs,
    connectionsCheckingInterval: headMs,
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", (error) => log.debug("connection failed", { error }));
  });
  // From the first byte: a client that never ends its handshake must not hold up our end.
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (socket) => {
    if (socket.alpnProtocol === "h2") socket.allowHalfOpen = false;
    else cutAfterEnd(socket, patience.halfClosedMs);
  });
  server.on("tlsClientError", (error) => log.debug("TLS handshake failed", { error }));
  const busy = new WeakMap<object, { readonly headersSent: boolean }>();
  // Only HTTP/1.1 has this: what arrived is no request.
  server.on("clientError", (error: Error, socket: Socket) => {
    log.debug("not a request", { error });
    if (busy.get(socket)?.headersSent === true) socket.destroy();
    else refuseUnread(error, socket);
  });
  const users = new WeakMap<object, { readonly user: User | undefined }>();
  const streams = new Set<Caller>();
  const upgraded = new Set<Socket>();
  const nextTurn = new NextTurn();
  server.on("request", (request, response) => {
    // Never rejects: every failure becomes an answer or a cut connection.
    void serve(request, response, options, { users, streams, upgraded, nextTurn, busy });
  });
  // Only HTTP/1.1 has this; browsers and kubectl use it for streams in both directions.
  server.on("upgrade", (incoming: IncomingMessage, socket: TLSSocket, head: Buffer) => {
    // Never rejects, as above.
    void upgrade(incoming, socket, head, options, { users, streams, upgraded, nextTurn, busy });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(options, error)));
    server.listen(options.port, options.address, resolve);
  });
  server.on("error", (error) => log.error("listener failed", { error }));
  // A listening TCP server's address is never null or a path.
  const { port } = server.address() as AddressInfo;
  return {
    address: options.address,
    port,
    accept: (connection) => {
      server.emit("connection", connection);
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const session of sessions) session.destroy();
          for (const socket of sockets) socket.destroy();
        }, CLOSE_GRACE_MS);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        // Watches would never end by themselves.
        for (const stream of streams) stream.abort(new Error("the API server is closing"));
        // Sends GOAWAY: clients finish what runs and take new requests elsewhere.
        for (const session of sessions) session.close();
      }),
  };
}

interface Connections {
  /** By connection, read from its certificate once. */
  readonly users: WeakMap<object, { readonly user: User | undefined }>;
  /** What ends the answers under way whose length is open. */
  readonly streams: Set<Caller>;
  /** Those that have left HTTP, or ask to. */
  readonly upgraded: Set<Socket>;
  /** When watches write. */
  readonly nextTurn: NextTurn;
  /** Those of HTTP/1.1 with an answer under way. */
  readonly busy: WeakMap<object, { readonly headersSent: boolean }>;
}

/** Never rejects. */
async function upgrade(
  incoming: IncomingMessage,
  socket: TLSSocket,
  head: Buffer,
  { handler, log }: ListenOptions,
  { users, streams, upgraded }: Connections,
): Promise<void> {
  const caller = new Caller();
  streams.add(caller);
  upgraded.add(socket);
  // Other protocols say in their own words who has finished.
  socket.allowHalfOpen = false;
  socket.once("close", () => {
    streams.delete(caller);
    upgraded.delete(socket);
    caller.abort(new Error("the client closed the connection"));
  });
  socket.on("error", (error) => log.debug("upgraded connection failed", { error }));
  const { method = "", url = "" } = incoming;
  if (!isMethod(method)) {
    socket.destroy();
    return;
  }
  const request = { method, url, headers: headersOf(incoming) };
  const user = userOf(incoming, users);
  await serveUpgrade(
    { request, incoming, socket, head, signal: caller.signal },
    async (offered) =>
      upgraded.size > MAX_UPGRADED
        ? failureResponse(tooManyRequests("too many streams at once, please try again later"))
        : handler(offered, user),
    log,
  );
}

async function serve(
  incoming: Http2ServerRequest,
  outgoing: Http2ServerResponse,
  options: ListenOptions,
  { users, streams, nextTurn, busy }: Connections,
): Promise<void> {
  const caller = new Caller();
  const { socket } = incoming;
  busy.set(socket, outgoing);
  outgoing.once("close", () => {
    busy.delete(socket);
    caller.abort(new Error("the client closed the connection"));
  });
  outgoing.on("error", (error) => options.log.debug("response failed", { error }));
  incoming.on("error", (error: Error) => options.log.debug("request failed", { error }));
  try {
    const response = await answer(incoming, options, users, caller);
    if (response.headers["content-length"] === undefined) streams.add(caller);
    // Refused before its body was here: the connection ends, or it would have to be read to its end first.
    if (!incoming.complete && !streamsBody(incoming.url) && "shouldKeepAlive" in outgoing)
      outgoing.shouldKeepAlive = false;
    await send(incoming.method, response, outgoing, caller, nextTurn);
  } catch (error) {
    // Headers are out or the client is gone: all that is left is to cut the stream, so that no client takes
    // half a body for a whole one.
    if (!caller.isGone) options.log.error("response cut off", { url: incoming.url, error });
    cut(outgoing);
  } finally {
    streams.delete(caller);
  }
}

async function answer(
  incoming: Http2ServerRequest,
  { handler, log, patience = PATIENCE }: ListenOptions,
  users: WeakMap<object, { readonly user: User | undefined }>,
  caller: Caller,
): Promise<ApiResponse> {
  try {
    const { method } = incoming;
    if (!isMethod(method)) throw methodNotAllowed();
    const user = userOf(incoming, users);
    const request = {
      method,
      url: incoming.url,
      headers: headersOf(incoming),
      body: undefined,
      get signal() {
        return caller.signal;
      },
    };
    if (streamsBody(incoming.url)) {
      const stream = hasBody(incoming) ? incoming : undefined;
      return await handler({ ...request, stream }, user);
    }
    // Not copied, since that would ask for the signal.
    return await handler(
      Object.assign(request, { body: await readBody(incoming, patience.bodyMs) }),
      user,
    );
  } catch (error) {
    if (error instanceof StatusError) return failureResponse(error);
    if (!caller.isGone) log.error("request failed", { url: incoming.url, error });
    return failureResponse(internalError("the request failed; the server's log has the reason"));
  }
}

/** Known from the head alone: HTTP/2 says whether more follows, HTTP/1.1 by how the length is given. */
function hasBody(incoming: Http2ServerRequest): boolean {
  const { headers } = incoming;
  if (incoming.httpVersionMajor === 2) return !incoming.stream.endAfterHeaders;
  return headers["transfer-encoding"] !== undefined || headers["content-length"] !== undefined;
}

async function send(
  method: string,
  response: ApiResponse,
  outgoing: Http2ServerResponse,
  caller: Caller,
  nextTurn: NextTurn,
): Promise<void> {
  // What is answered now may be wrong in a moment, and is not for everybody.
  outgoing.writeHead(response.status, {
    "cache-control": "no-cache, private",
    ...response.headers,
    ...(response.cookies === undefined ? {} : { "set-cookie": [...response.cookies] }),
  });
  if (method === "HEAD") {
    outgoing.end();
    return;
  }
  if (response.body instanceof WholeBody) {
    outgoing.end(response.body.bytes);
    return;
  }
  // A watch may have nothing to say for minutes; its client waits for the headers.
  // Over HTTP/2 writeHead has sent them; HTTP/1.1 waits for a body unless told.
  if (response.headers["content-length"] === undefined && hasFlush(outgoing)) {
    outgoing.flushHeaders();
  }
  if (response.body instanceof SourceBody) {
    await pushed(response.body.source, outgoing, caller, nextTurn);
  } else {
    for await (const chunk of response.body) {
      if (caller.isGone) break;
      if (!outgoing.write(chunk)) await drained(outgoing, caller.signal);
    }
  }
  outgoing.end();
}

function hasFlush(outgoing: object): outgoing is { flushHeaders(): void } {
  return "flushHeaders" in outgoing;
}

/** Resolves when the client has taken what was written, or is gone. */
function drained(outgoing: Http2ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      outgoing.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    outgoing.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

function cut(outgoing: Http2ServerResponse): void {
  // Over HTTP/1.1 the same handler gets a ServerResponse, which has no stream but can be destroyed.
  const stream: { destroy(): unknown } | undefined = outgoing.stream ?? outgoing.socket;
  stream?.destroy();
}

function headersOf(incoming: Pick<IncomingMessage, "headers">): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of Object.keys(incoming.headers)) {
    const value = incoming.headers[name];
    if (value === undefined || name.startsWith(":")) continue;
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** The user of the connection; read from its certificate once. */
function userOf(
  incoming: Http2ServerRequest | IncomingMessage,
  users: WeakMap<object, { readonly user: User | undefined }>,
): User | undefined {
  // The socket of an HTTP/2 request is a proxy, so the session stands for the connection there.
  const connection: object | undefined =
    "stream" in incoming ? incoming.stream.session : incoming.socket;
  if (connection === undefined) return undefined;
  const known = users.get(connection);
  if (known !== undefined) return known.user;
  // This listener speaks TLS only.
  const user = readUser(incoming.socket as TLSSocket);
  users.set(connection, { user });
  return user;
}

function readUser(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  // Attributes that occur several times come as a list, which the types do not say.
  const subject: Record<string, string | string[] | undefined> = {
    ...socket.getPeerCertificate().subject,
  };
  const name = [subject["CN"] ?? []].flat()[0];
  if (name === undefined || name === "") return undefined;
  return { name, groups: [...[subject["O"] ?? []].flat(), "system:authenticated"] };
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] as const;

function isMethod(text: string): text is (typeof METHODS)[number] {
  return METHODS.some((method) => method === text);
}

function listenError({ address, port }: ListenOptions, error: Error): Error {
  const where = address.includes(":")
    ? `[${address}]:${String(port)}`
    : `${address}:${String(port)}`;
  const code = "code" in error ? String(error.code) : "";
  switch (code) {
    case "EADDRINUSE":
      return new ListenError(
        `cannot serve the API on ${where}: the port is in use; end what uses it, or choose another port (0 takes a free one)`,
        code,
        error,
      );
    case "EACCES":
      return new ListenError(
        `cannot serve the API on ${where}: this user may not bind port ${String(port)}; choose a port above 1023`,
        code,
        error,
      );
    case "EADDRNOTAVAIL":
      return new ListenError(
        `cannot serve the API on ${where}: no interface of this machine has the address ${address}`,
        code,
        error,
      );
    default:
      return new ListenError(`cannot serve the API on ${where}: ${error.message}`, code, error);
  }
}
