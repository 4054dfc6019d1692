import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

type Place = { readonly host: string; readonly port: number } | { readonly path: string };

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
export async function startForwarder(at: Place, dial: Dial): Promise<Forwarder> {
  return startDoor(at, (near, open) => {
    joinSockets(near, dial(), open);
  });
}

/**
 * Hands over every connection to `at`, to be served in this process; `open` takes what else its end must close.
 * @throws the socket's error when `at` cannot be bound.
 */
export async function startDoor(
  at: Place,
  accept: (near: Socket, open: Set<Socket>) => void,
): Promise<Forwarder> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    open.add(near);
    near.once("close", () => open.delete(near));
    accept(near, open);
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
export function dialTo(to: Place): Socket {
  return connect({ ...to, allowHalfOpen: true, noDelay: true });
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
