import { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { send, startPings } from "./channels.ts";
import { forward } from "./port-forward.ts";
import type { ForwardTarget } from "./port-forward.ts";

/** Two of a byte's numbers for each port. */
const MAX_PORTS = 100;

/** The ports of `?port=80&port=81`; undefined where one is none, or there are none. */
export function parsePorts(texts: readonly string[]): readonly number[] | undefined {
  const ports = texts.flatMap((text) => text.split(",")).map(Number);
  const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 0x1_0000;
  return ports.length > 0 && ports.length <= MAX_PORTS && ports.every(isPort) ? ports : undefined;
}

/**
 * Port-forwarding for clients that have no SPDY (client libraries outside Go): one connection to each port, made
 * at once. Of port number i in the request, channel 2i has the bytes and channel 2i+1 what went wrong, and each
 * begins with the port in two bytes, the low one first. The websocket, which is pausing, ends with the last connection.
 */
export async function runChannelForward(
  socket: WebSocket,
  transport: Duplex,
  ports: readonly number[],
  target: ForwardTarget,
  ending: AbortSignal,
): Promise<void> {
  const data = ports.map((_, index) => channel(socket, 2 * index));
  const errors = ports.map((_, index) => channel(socket, 2 * index + 1));
  for (const [index, port] of ports.entries()) {
    const bytes = Buffer.from([port & 0xff, port >> 8]);
    // Never rejects.
    for (const one of [2 * index, 2 * index + 1]) void send(socket, one, bytes);
  }
  socket.on("message", (message: Buffer) => {
    const number = message[0] ?? 0;
    const to = number % 2 === 0 ? data[number / 2] : undefined;
    if (message.length > 1 && to?.push(message.subarray(1)) === false) socket.pause();
  });
  const pings = startPings(socket);
  const cut = (): void => socket.terminate();
  ending.addEventListener("abort", cut, { once: true });
  socket.on("error", cut);
  transport.once("close", () => {
    clearInterval(pings);
    for (const one of [...data, ...errors]) one.destroy();
  });
  socket.resume();
  const forwarded = data.map((one, index) => {
    const error = errors[index];
    const port = ports[index];
    return error === undefined || port === undefined
      ? Promise.resolve()
      : forward(one, error, port, target);
  });
  await Promise.all(forwarded);
  ending.removeEventListener("abort", cut);
  socket.close(1000);
}

function channel(socket: WebSocket, number: number): Duplex {
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      // Never rejects.
      void send(socket, number, chunk).then(() => done());
    },
    // The protocol has no way to say that one direction has ended: when the Pod's side has, all has.
    final: (done) => {
      duplex.push(null);
      done();
    },
  });
  // Whoever carries the bytes sees the end; the error itself is the client's.
  duplex.on("error", () => undefined);
  return duplex;
}
