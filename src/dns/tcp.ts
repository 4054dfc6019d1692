import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { parsePort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import { ConnectionTable } from "./connection-table.ts";
import type { ConnectionBounds } from "./connection-table.ts";
import type { ListenAddress, Listener, Respond } from "./listener.ts";
import { startHandshakes } from "./handshake.ts";
import type { CertificateSource } from "./serving-certificate.ts";
import { answerStream } from "./stream-questions.ts";

export interface TcpLimits extends ConnectionBounds {
  /** A connection that completes no message and takes no answer for so long is closed (RFC 7766 6.2.3). */
  readonly idleMs: number;
}

export const TCP_LIMITS: TcpLimits = { idleMs: 10_000, maxConnections: 4096 };

/** Files that are left to the rest of the program, or half of what it may open when that is little. */
const OTHER_FILES = 2048;

/**
 * Answers questions over TCP, or over TLS when there is a certificate. A process that may open few files takes
 * fewer connections, so that there is one for each that comes.
 * @throws Error with the socket's code when the address cannot be bound, or one about the certificate.
 */
export async function listenTcp(
  deps: { readonly respond: Respond; readonly log: Logger },
  listen: ListenAddress,
  limits: TcpLimits = TCP_LIMITS,
  certificate?: CertificateSource,
): Promise<Listener> {
  const files = await openFiles();
  const maxConnections = Math.min(
    limits.maxConnections,
    Math.max(Math.floor(files / 2), files - OTHER_FILES),
  );
  if (maxConnections < limits.maxConnections) {
    const { maxConnections: wanted } = limits;
    deps.log.warn("dns takes fewer connections, open files are limited", {
      wanted,
      maxConnections,
    });
  }
  const connections = new ConnectionTable<Socket>({ ...limits, maxConnections });
  const handshake = certificate && startHandshakes(certificate, deps.log, limits.idleMs);
  const protocol = handshake === undefined ? "tcp" : "tls";
  // A client may close its side when it has asked; it still gets its answers.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (accepted) => {
    // Counted, and timed, from now on: a client that never ends its handshake is one as well.
    connections.admit(accepted);
    accepted.once("close", () => {
      connections.remove(accepted);
    });
    const serve = (socket: Socket): void => {
      answerStream(
        socket,
        {
          respond: (message, peer) => deps.respond(message, protocol, peer),
          onActive: () => {
            connections.touch(accepted);
          },
          onUnsent: (bytes) => {
            connections.noteUnsent(accepted, bytes);
          },
        },
        limits.idleMs,
      );
    };
    if (handshake === undefined) serve(accepted);
    else handshake(accepted, serve);
  });
  server.listen({
    port: listen.port,
    host: listen.address,
    // Many clients that come at once must not wait for each other's second attempt.
    backlog: 4096,
  });
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
      connections.closeAll();
      await closed;
    },
  };
}

/** How many files this process may have open; Node takes as many as it is allowed at its start. */
async function openFiles(): Promise<number> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const files = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return files === undefined ? Number.POSITIVE_INFINITY : Number(files);
}
