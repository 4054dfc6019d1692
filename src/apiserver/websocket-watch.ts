import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { TAKEN } from "./exchange.ts";
import type { ApiResponse, UpgradeOffer } from "./exchange.ts";
import { badRequest } from "./failures.ts";

/** A watcher that is so far behind gets nothing more until it has caught up; its place in history may be lost. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** A watcher sends nothing but control frames. */
const MAX_MESSAGE_BYTES = 4096;
const PING_EVERY_MS = 30_000;
const CLOSE_MS = 1_000;
/** How browsers hand over a token; no protocol that anybody speaks. */
const TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io.";

/**
 * The same watch as over HTTP, in a form that browsers can read: a text message for each event. Of the protocols
 * that the client offers the first is taken, as browsers end a connection that takes none.
 * @throws StatusError 400 for what is no websocket handshake.
 */
export async function watchOverWebSocket(
  { incoming, socket, head }: UpgradeOffer,
  events: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const { headers } = incoming;
  const key = headers["sec-websocket-key"] ?? "";
  if (!/^[+/0-9A-Za-z]{22}==$/.test(key) || headers["sec-websocket-version"] !== "13")
    throw badRequest("the request is no websocket handshake of version 13");
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (offered) =>
      [...offered].find((name) => !name.startsWith(TOKEN_PROTOCOL)) ?? false,
  });
  const webSocket = await new Promise<WebSocket | undefined>((resolve) => {
    socket.once("close", () => resolve(undefined));
    server.handleUpgrade(incoming, socket, Buffer.from(head), resolve);
  });
  // Goes on by itself; what fails in it ends the connection, and the client watches again.
  if (webSocket !== undefined) void send(webSocket, events, signal);
  return TAKEN;
}

async function send(
  webSocket: WebSocket,
  events: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const pings = setInterval(() => webSocket.ping(), PING_EVERY_MS);
  webSocket.on("error", () => webSocket.terminate());
  const closed = new Promise<void>((resolve) => webSocket.once("close", () => resolve()));
  try {
    for await (const chunk of events) {
      // Events end with a line feed, and a chunk has whole events only.
      const lines = Buffer.from(chunk).toString("utf8").split("\n");
      for (const line of lines) if (line !== "") await sent(webSocket, line);
      if (signal.aborted || webSocket.readyState !== webSocket.OPEN) break;
    }
    webSocket.close(1000);
  } catch {
    webSocket.terminate();
  }
  const timer = setTimeout(() => webSocket.terminate(), CLOSE_MS);
  await closed;
  clearTimeout(timer);
  clearInterval(pings);
}

/** Resolves when there is room for more, or the client is gone. */
function sent(webSocket: WebSocket, line: string): Promise<void> | undefined {
  if (webSocket.bufferedAmount < MAX_BUFFERED_BYTES) {
    webSocket.send(line, () => undefined);
    return undefined;
  }
  return new Promise((resolve) => webSocket.send(line, () => resolve()));
}
