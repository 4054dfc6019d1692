import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

/** Where each connection that comes in is carried on to. */
export type Dial = () => Socket;

export interface Forwarder extends AsyncDisposable {
  /** The port it listens on; 0 for a path. */
  readonly port: number;
}

/**
 * Carries every connection to `at` on to what `dial` opens, both ways, half-closed ones too.
 * @throws the socket's error when `at` cannot be bound.
 */
export async function startForwarder(
  at: { readonly host: string; readonly port: number } | { readonly path: string },
  dial: Dial,
): Promise<Forwarder> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    joinSockets(near, dial(), open);
  });
  server.listen(at);
  await once(server, "listening");
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** A connection to a Unix socket or an address that stays open for what comes after the other side's end. */
export function dialTo(
  to: { readonly host: string; readonly port: number } | { readonly path: string },
): Socket {
  return connect({ ...to, allowHalfOpen: true });
}

/** Joins two sockets; when one of them breaks, so does the other. */
export function joinSockets(near: Socket, far: Socket, open: Set<Socket>): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    open.add(from);
    from.pipe(to);
    // "close" follows, and ends the other one.
    from.on("error", () => undefined);
    from.once("close", () => {
      open.delete(from);
      to.destroy();
    });
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
