import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { parsePort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import { MessageFraming } from "./framing.ts";
import type { ListenAddress, Listener, Peer, Respond, Sent } from "./listener.ts";

export interface TcpLimits {
  /** A connection that completes no message and takes no answer for so long is closed (RFC 7766 6.2.3). */
  readonly idleMs: number;
  /** When one more comes, the one that was silent longest goes. */
  readonly maxConnections: number;
}

export const TCP_LIMITS: TcpLimits = { idleMs: 10_000, maxConnections: 4096 };

/** Questions of one connection that may be open at once; then it is not read until some are answered. */
const MAX_PIPELINED = 100;

/** PEM of what a server of DNS over TLS shows (RFC 7858). */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Answers questions over TCP, or over TLS when there is a certificate.
 * @throws Error with the socket's code when the address cannot be bound.
 */
export async function listenTcp(
  deps: { readonly respond: Respond; readonly log: Logger },
  listen: ListenAddress,
  limits: TcpLimits = TCP_LIMITS,
  certificate?: ServingCertificate,
): Promise<Listener> {
  // From the one that was silent longest to the one that spoke last.
  const connections = new Set<Socket>();
  const admit = (socket: Socket): void => {
    const [silent] = connections;
    if (silent !== undefined && connections.size >= limits.maxConnections) {
      connections.delete(silent);
      silent.destroy();
    }
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  };
  const accept = (socket: Socket): void => {
    admit(socket);
    serve(
      socket,
      (message, peer) => deps.respond(message, certificate === undefined ? "tcp" : "tls", peer),
      limits.idleMs,
      () => {
        connections.delete(socket);
        connections.add(socket);
      },
    );
  };
  // A client may close its side when it has asked; it still gets its answers.
  const server =
    certificate === undefined
      ? createServer({ allowHalfOpen: true, noDelay: true }, accept)
      : createTlsServer(
          {
            ...certificate,
            allowHalfOpen: true,
            noDelay: true,
            minVersion: "TLSv1.2",
            ALPNProtocols: ["dot"],
            handshakeTimeout: limits.idleMs,
          },
          accept,
        );
  if (certificate !== undefined) {
    // Counted from their first byte on: a client that never ends its handshake is one as well.
    server.on("connection", admit);
    // What a client does wrong in its handshake is its own trouble: the connection ends.
    server.on("tlsClientError", (error: Error) => {
      deps.log.debug("dns handshake failed", { error });
    });
  }
  server.listen(listen.port, listen.address);
  await once(server, "listening");
  server.on("error", (error) => {
    deps.log.warn("dns socket failed", { error, protocol: "tcp" });
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? parsePort(bound.port) : undefined;
  if (port === undefined) throw new Error("a listening socket has no port");
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** Reads questions off a connection and writes the answers, in the order in which they come to be. */
function serve(
  socket: Socket,
  respond: (message: Uint8Array, peer: Peer) => ReturnType<Respond>,
  idleMs: number,
  onActive: () => void,
): void {
  const framing = new MessageFraming();
  let open = 0;
  let hasEnded = false;
  // Not the socket's own time-out, which a client that sends a byte now and then puts off for ever.
  const deadline = setTimeout(() => {
    socket.destroy();
  }, idleMs);
  const peer: Peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
  const answered = (answer: Sent): void => {
    open -= 1;
    if (answer === undefined || socket.destroyed) return;
    for (const message of answer instanceof Uint8Array ? [answer] : answer) {
      socket.write(MessageFraming.frame(message));
    }
    deadline.refresh();
  };
  const readOn = (): void => {
    // Answers given at once leave in one write.
    socket.cork();
    while (open < MAX_PIPELINED && !socket.writableNeedDrain) {
      const message = framing.next();
      if (message === undefined) break;
      if (message.length === 0) {
        // No DNS client sends that, and it must not count as a question that keeps the connection.
        socket.destroy();
        return;
      }
      open += 1;
      deadline.refresh();
      onActive();
      const answer = respond(message, peer);
      if (answer instanceof Promise) {
        // Respond promises never to reject.
        void answer.then((late) => {
          answered(late);
          readOn();
        });
      } else {
        answered(answer);
      }
    }
    socket.uncork();
    if (framing.hasMessage()) socket.pause();
    else socket.resume();
    if (hasEnded && open === 0 && !framing.hasMessage()) socket.end();
  };
  socket.on("data", (chunk) => {
    framing.push(chunk);
    readOn();
  });
  socket.on("drain", readOn);
  socket.once("end", () => {
    hasEnded = true;
    readOn();
  });
  // The peer is gone: "close" follows, and there is nobody to tell.
  socket.on("error", () => socket.destroy());
  socket.once("close", () => {
    clearTimeout(deadline);
  });
}
