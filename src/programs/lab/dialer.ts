import { rm } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { parseHostPort } from "../../net/host-port.ts";
import { joinUdp } from "./dial-udp.ts";
import { dialTo, joinSockets, startDoor } from "./forwarder.ts";

/** `udp [IPv6]:PORT` and a line feed are shorter. */
const MAX_LINE = 64;
const LINE_MS = 5_000;

/**
 * Opens TCP connections from this process's network namespace for whoever may use the path: a client writes a line
 * `tcp IP:PORT`, and what follows goes there and back; or `udp IP:PORT` for datagrams, each in a frame.
 */
export async function startDialer(path: string): Promise<AsyncDisposable> {
  // An earlier program of this node may have been killed.
  await rm(path, { force: true });
  return startDoor({ path }, (near, open) => {
    near.on("error", () => undefined);
    // Never rejects.
    void serve(near, open);
  });
}

/** A stream to an address as the place of a dialer's path sees it; of datagrams, in frames, for UDP. */
export function dialBy(path: string, protocol: "TCP" | "UDP", hostPort: string): Socket {
  const socket = dialTo({ path });
  socket.write(`${protocol.toLowerCase()} ${hostPort}\n`);
  return socket;
}

async function serve(near: Socket, open: Set<Socket>): Promise<void> {
  const line = await firstLine(near);
  const [, protocol, hostPort = ""] = /^(tcp|udp) (.*)$/.exec(line ?? "") ?? [];
  const to = parseHostPort(hostPort);
  if (to === undefined) near.destroy();
  else if (protocol === "udp") joinUdp(near, to);
  else joinSockets(near, connect({ host: to.address, port: to.port, allowHalfOpen: true }), open);
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
