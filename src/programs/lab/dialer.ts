import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { parseHostPort } from "../../net/host-port.ts";
import { joinSockets } from "./forwarder.ts";

/** `[IPv6]:PORT` and a line feed are shorter. */
const MAX_LINE = 64;
const LINE_MS = 5_000;

/**
 * Opens TCP connections from this process's network namespace for whoever may use the path: a client writes a line
 * `IP:PORT`, and what follows goes there and back.
 */
export async function startDialer(path: string): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    open.add(near);
    near.on("error", () => undefined);
    near.once("close", () => open.delete(near));
    void serve(near, open);
  });
  // An earlier program of this node may have been killed.
  await rm(path, { force: true });
  server.listen(path);
  await once(server, "listening");
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** What a client of {@link startDialer} writes first. */
export function dialLine(hostPort: string): string {
  return `${hostPort}\n`;
}

async function serve(near: Socket, open: Set<Socket>): Promise<void> {
  const line = await firstLine(near);
  const to = line === undefined ? undefined : parseHostPort(line);
  if (to === undefined) {
    near.destroy();
    return;
  }
  joinSockets(near, connect({ host: to.address, port: to.port, allowHalfOpen: true }), open);
}

/** Undefined when none came in time, or a longer one than there is. What follows stays in the socket. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const done = (line: string | undefined): void => {
      clearTimeout(timer);
      socket.off("readable", read).off("close", give);
      resolve(line);
    };
    const give = (): void => {
      done(undefined);
    };
    const read = (): void => {
      for (;;) {
        const byte: unknown = socket.read(1);
        if (!Buffer.isBuffer(byte)) return;
        if (byte[0] === 10) {
          done(bytes.toString("latin1"));
          return;
        }
        bytes = Buffer.concat([bytes, byte]);
        if (bytes.length > MAX_LINE) give();
      }
    };
    const timer = setTimeout(give, LINE_MS);
    socket.on("readable", read).once("close", give);
  });
}
