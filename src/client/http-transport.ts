import * as http from "node:http";
import * as https from "node:https";
import { createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import { reasonOf } from "../async/sleep.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";

export interface HttpTransportOptions {
  /** `https://host:port`, with a path where the API is served below one. */
  readonly server: string;
  /** PEM of the authorities to trust; default the system's. */
  readonly ca?: string | undefined;
  /** PEM of the client's certificate and key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Asked for before each request, so that a token that is replaced on disk is followed. */
  readonly bearerToken?: (() => Promise<string>) | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
  /** Name to find in the server's certificate; default the URL's host. */
  readonly tlsServerName?: string | undefined;
}

/** A transport that holds connections open; dispose to close the idle ones. */
export interface HttpTransport extends Disposable {
  readonly transport: Transport;
}

/** Between probes of a silent connection: a watch may be silent for minutes while its server is long gone. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * HTTP/1.1 with connections kept for reuse, one for each watch. A GET that finds its kept connection closed
 * by the server is sent once more on a new one.
 * @throws Error when `server` is not an http or https URL, or a certificate or key cannot be used.
 */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const server = parseServer(options.server);
  const isTls = server.protocol === "https:";
  const agent = isTls
    ? new https.Agent({
        keepAlive: true,
        keepAliveMsecs: TCP_KEEPALIVE_MS,
        rejectUnauthorized: options.insecureSkipTlsVerify !== true,
        secureContext: secureContextOf(options),
        ...(options.tlsServerName === undefined ? {} : { servername: options.tlsServerName }),
      })
    : new http.Agent({ keepAlive: true, keepAliveMsecs: TCP_KEEPALIVE_MS });
  const basePath = server.pathname.replace(/\/+$/, "");
  // URL writes IPv6 hosts in brackets, which sockets do not know.
  const hostname = server.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = server.port === "" ? undefined : server.port;

  const send = (request: TransportRequest, token: string | undefined): Promise<TransportResponse> =>
    exchange(isTls ? https.request : http.request, request, {
      agent,
      hostname,
      port,
      path: basePath + request.url,
      method: request.method,
      headers: {
        ...request.headers,
        ...(request.body === undefined
          ? {}
          : { "content-length": String(request.body.byteLength) }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      signal: request.signal,
    });

  return {
    transport: async (request) => {
      const token = await options.bearerToken?.();
      try {
        return await send(request, token);
      } catch (error) {
        if (error instanceof StaleConnectionError && request.method === "GET") {
          return send(request, token);
        }
        throw error;
      }
    },
    [Symbol.dispose]: () => {
      agent.destroy();
    },
  };
}

/** The server had closed the connection that was kept for reuse, before it answered. */
class StaleConnectionError extends Error {
  readonly code = "ECONNRESET";
}

function exchange(
  open: typeof http.request,
  request: TransportRequest,
  options: http.RequestOptions,
): Promise<TransportResponse> {
  const { signal } = request;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const outgoing = open(options, (response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: singleHeaders(response.headers),
        body: bodyOf(response, signal),
      });
    });
    // After the answer has begun, errors come through its body as well; this listener then changes nothing.
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(reasonOf(signal));
      else if (outgoing.reusedSocket && error.code === "ECONNRESET") {
        reject(new StaleConnectionError(error.message, { cause: error }));
      } else reject(error);
    });
    outgoing.end(request.body);
  });
}

async function* bodyOf(
  response: http.IncomingMessage,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    // Leaving the loop early destroys the response, and with it the connection.
    for await (const chunk of response) {
      // Without an encoding set, a response gives Buffers.
      yield chunk as Buffer;
    }
  } catch (error) {
    throw signal.aborted ? reasonOf(signal) : error;
  }
}

function singleHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  const single: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) single[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return single;
}

/** Made once for all connections: from PEM it takes longer than all else of a new one. */
function secureContextOf({ ca, cert, key }: HttpTransportOptions): SecureContext {
  try {
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (cause) {
    throw new Error("the client's certificate or key, or the server's authority cannot be used", {
      cause,
    });
  }
}

function parseServer(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    throw new Error(`server ${JSON.stringify(text)} is not a URL`, { cause: error });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error(`server ${JSON.stringify(text)} must start with https:// or http://`);
  }
  return url;
}
