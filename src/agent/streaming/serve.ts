import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, createWebSocketStream } from "ws";
import type { WebSocket } from "ws";
import type { Logger } from "../../telemetry/log.ts";
import type { RunningContainer } from "../running-container.ts";
import { closeSoon } from "../spdy/connection.ts";
import { runAttach } from "./attach.ts";
import { parsePorts, runChannelForward } from "./channel-forward.ts";
import { CHANNEL_PROTOCOLS, channelClient } from "./channel-client.ts";
import type { ClientStreams } from "./client-streams.ts";
import { runExec } from "./exec.ts";
import { PORT_FORWARD_PROTOCOL, runPortForward } from "./port-forward.ts";
import type { ForwardTarget } from "./port-forward.ts";
import { SPDY_PROTOCOLS, spdyClient } from "./spdy-client.ts";
import { parseStreamRequest } from "./stream-request.ts";
import type { StreamRequest } from "./stream-request.ts";

export type Missing = { readonly kind: "missing"; readonly message: string };

export interface StreamingDeps {
  readonly log: Logger;
  readonly now: () => number;
  readonly runningContainer: (
    namespace: string,
    pod: string,
    container: string,
  ) => RunningContainer | Missing;
  readonly forwardTarget: (
    namespace: string,
    pod: string,
  ) => (ForwardTarget & { readonly kind: "running" }) | Missing;
}

/** A connection whose client asked for another protocol on it. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What has come after the request's head already. */
  readonly head: Buffer;
  /** Aborts when the agent ends. */
  readonly ending: AbortSignal;
}

/** SPDY frames in the messages of a websocket, as kubectl from 1.31 on forwards ports. */
const TUNNEL_PROTOCOL = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;
/** Named after the ports of the request. */
const FORWARD_PROTOCOLS = ["v4.channel.k8s.io"];
const MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * Serves exec, attach and port-forward on a connection until the client goes, over websockets or SPDY/3.1. What
 * cannot be served is answered as HTTP: the connection stays what it was.
 * @throws what fails in the agent itself; the caller closes the connection.
 */
export async function serveStreaming(deps: StreamingDeps, upgrade: Upgrade): Promise<void> {
  const { request } = upgrade;
  const asked = parseStreamRequest(new URL(request.url ?? "/", "https://agent"));
  switch (asked.kind) {
    case "other":
      return refuse(upgrade, 404, "404 page not found");
    case "invalid":
      return refuse(upgrade, 400, asked.message);
    case "portForward":
      return servePortForward(deps, upgrade, asked);
    case "exec":
    case "attach":
      return serveCommand(deps, upgrade, asked);
  }
}

async function servePortForward(
  deps: StreamingDeps,
  upgrade: Upgrade,
  { namespace, pod, ports: texts }: StreamRequest & { readonly kind: "portForward" },
): Promise<void> {
  const target = deps.forwardTarget(namespace, pod);
  if (target.kind === "missing") return refuse(upgrade, 404, target.message);
  const protocol = protocolOf(upgrade.request);
  if (protocol === "websocket") {
    const ports = parsePorts(texts);
    const offered = upgrade.request.headers["sec-websocket-protocol"];
    const protocols = [TUNNEL_PROTOCOL, ...(ports === undefined ? [] : FORWARD_PROTOCOLS)];
    const socket = await acceptWebSocket(upgrade, protocols);
    if (socket === undefined) return;
    if (ports !== undefined && firstOffered(protocols, offered) !== TUNNEL_PROTOCOL)
      return runChannelForward(socket, upgrade.socket, ports, target, upgrade.ending);
    const transport = createWebSocketStream(socket);
    socket.resume();
    return runPortForward(transport, target, upgrade.ending);
  }
  if (protocol !== "spdy/3.1") return refuse(upgrade, 400, NO_PROTOCOL);
  if (!acceptSpdy(upgrade, [PORT_FORWARD_PROTOCOL])) return;
  await runPortForward(upgrade.socket, target, upgrade.ending);
}

async function serveCommand(
  deps: StreamingDeps,
  upgrade: Upgrade,
  asked: StreamRequest & { readonly kind: "exec" | "attach" },
): Promise<void> {
  const { command, choice } = asked;
  const running = deps.runningContainer(asked.namespace, asked.pod, asked.container);
  if (running.kind === "missing") return refuse(upgrade, 404, running.message);
  const input =
    asked.kind === "attach" && choice.stdin ? await running.input?.connect() : undefined;
  if (asked.kind === "attach" && choice.stdin && input === undefined)
    return refuse(upgrade, 400, `stdin of container ${asked.container} is not open`);
  const client = await connectClient(upgrade, asked);
  if (client === undefined) {
    input?.destroy();
    return;
  }
  if (asked.kind === "exec") {
    const { env, workingDir, enter, ended } = running;
    await runExec(client, { command, tty: choice.tty, env, workingDir, enter, ended });
  } else await runAttach(client, { ...running, input, now: deps.now });
}

async function connectClient(
  upgrade: Upgrade,
  { choice }: StreamRequest & { readonly kind: "exec" | "attach" },
): Promise<ClientStreams | undefined> {
  const { socket, ending } = upgrade;
  switch (protocolOf(upgrade.request)) {
    case "websocket": {
      const webSocket = await acceptWebSocket(upgrade, CHANNEL_PROTOCOLS);
      return webSocket && channelClient(webSocket, socket, choice, ending);
    }
    case "spdy/3.1":
      return acceptSpdy(upgrade, SPDY_PROTOCOLS) ? spdyClient(socket, choice, ending) : undefined;
    default:
      refuse(upgrade, 400, NO_PROTOCOL);
      return undefined;
  }
}

const NO_PROTOCOL = "unable to upgrade: the protocol must be websocket or SPDY/3.1";

function protocolOf({ headers }: IncomingMessage): string {
  return (headers.upgrade ?? "").toLowerCase();
}

/**
 * Takes the first of our protocols that the client offers. The package `ws` refuses names with a slash, so it is
 * shown another header and the real name is put into the answer.
 */
async function acceptWebSocket(
  upgrade: Upgrade,
  protocols: readonly string[],
): Promise<WebSocket | undefined> {
  const { request, socket, head } = upgrade;
  const protocol = firstOffered(protocols, request.headers["sec-websocket-protocol"]);
  if (protocol === undefined) {
    const message = `unable to upgrade: the websocket's protocol must be one of ${protocols.join(", ")}`;
    refuse(upgrade, 400, message);
    return undefined;
  }
  delete request.headers["sec-websocket-protocol"];
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  server.on("headers", (lines) => lines.push(`Sec-WebSocket-Protocol: ${protocol}`));
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined));
    // A request that is no handshake is answered by the package and the connection closed.
    server.handleUpgrade(request, socket, head, (webSocket) => {
      // Until somebody listens: what comes before would be lost.
      webSocket.pause();
      resolve(webSocket);
    });
  });
}

/** @returns whether the connection speaks SPDY now. */
function acceptSpdy(upgrade: Upgrade, protocols: readonly string[]): boolean {
  const { request, socket, head } = upgrade;
  const offered = request.headers["x-stream-protocol-version"];
  const protocol = firstOffered(protocols, [offered ?? []].flat().join(","));
  if (protocol === undefined) {
    refuse(
      upgrade,
      403,
      `unable to upgrade: X-Stream-Protocol-Version must be ${protocols.join(", ")}`,
    );
    return false;
  }
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" +
      `X-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return true;
}

function firstOffered(ours: readonly string[], header: string | undefined): string | undefined {
  const offered = (header ?? "").split(",").map((name) => name.trim());
  return ours.find((name) => offered.includes(name));
}

export function refuse({ socket }: Pick<Upgrade, "socket">, code: number, message: string): void {
  const body = `${message}\n`;
  socket.write(
    `HTTP/1.1 ${String(code)} Refused\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\nConnection: close\r\n\r\n${body}`,
  );
  closeSoon(socket);
}
