import type { WebSocket } from "ws";

const PING_EVERY_MS = 5_000;

/** Writing shows that a client is gone even while nothing is read from it. */
export function startPings(socket: WebSocket): NodeJS.Timeout {
  return setInterval(() => socket.ping(), PING_EVERY_MS);
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
