import type { WebSocket } from "ws";

const PING_EVERY_MS = 5_000;

/** Writing shows that a client is gone even while nothing is read from it. */
export function startPings(socket: WebSocket): NodeJS.Timeout {
  return setInterval(() => socket.ping(), PING_EVERY_MS);
}

/** A client that does not answer a ping is not waited for longer. */
const PONG_MS = 1_000;
/** What a client gets to make its streams, once it reads. */
const SETTLE_MS = 20;

/**
 * Resolves when a client has its streams, as far as that can be seen: it has written to one, or it reads and has had
 * a moment since. kubectl up to 1.33 reads before it has made them, and drops what comes for a stream that is not there
 * yet: a short command's output and exit code (kubernetes/kubernetes issue 131189). Call it while the socket is pausing.
 */
export function clientSettled(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(resolve, PONG_MS);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    socket.once("message", done);
    socket.once("close", done);
    socket.once("pong", () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, SETTLE_MS);
    });
    socket.ping();
  });
}

/**
 * Sends a message with its channel's number in front. Resolves when it is on its way, or the client is gone: who
 * writes learns that elsewhere.
 */
export function send(socket: WebSocket, channel: number, payload: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket.send(Buffer.concat([Buffer.from([channel]), payload]), () => resolve());
  });
}
