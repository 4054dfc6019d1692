import { STATUS_CODES } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "../telemetry/log.ts";
import type { ApiRequest, ApiResponse } from "./exchange.ts";

/** For the client to read the last of it before the connection is cut. */
const CLOSE_MS = 1_000;

interface Offered {
  readonly request: Omit<ApiRequest, "upgrade" | "signal" | "body">;
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Uint8Array;
  /** Aborts when the client is gone or the server ends. */
  readonly signal: AbortSignal;
}

/**
 * Answers a request to change protocols. Either somebody takes the connection over, or the answer is written on
 * it as HTTP/1.1 and the connection closed. Never rejects.
 */
export async function serveUpgrade(
  { request, incoming, socket, head, signal }: Offered,
  handler: (request: ApiRequest) => Promise<ApiResponse>,
  log: Logger,
): Promise<void> {
  try {
    const upgrade = { incoming, socket, head };
    const response = await handler({ ...request, upgrade, signal });
    if (response.status === 101) return;
    await write(request.method, response, socket, signal);
    endSoon(socket);
  } catch (error) {
    if (!signal.aborted) log.error("upgrade failed", { url: request.url, error });
    socket.destroy();
  }
}

async function write(
  method: string,
  response: ApiResponse,
  socket: Duplex,
  signal: AbortSignal,
): Promise<void> {
  const { status, headers, cookies = [] } = response;
  // Without a length the end of the connection is the end of the body.
  const lines = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ""}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...cookies.map((cookie) => `set-cookie: ${cookie}`),
    "connection: close",
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  if (method === "HEAD") return;
  for await (const chunk of response.body) {
    if (signal.aborted) return;
    if (!socket.write(chunk)) await drained(socket);
  }
}

/** Resolves also when the connection is closed. */
function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) {
      resolve();
      return;
    }
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}

/** Ends a connection: what was written goes out, and what does not go out in time is dropped. */
export function endSoon(socket: Duplex, withinMs = CLOSE_MS): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), withinMs);
  socket.once("close", () => clearTimeout(timer));
  socket.end(() => socket.destroy());
}
