import type { Socket } from "node:net";
import { MessageFraming } from "./framing.ts";
import type { Peer, Respond, Sent } from "./listener.ts";

/** Questions of one connection that may be open at once; then it is not read until some are answered. */
const MAX_PIPELINED = 100;

export interface StreamHooks {
  readonly respond: (message: Uint8Array, peer: Peer) => ReturnType<Respond>;
  /** A question came. */
  readonly onActive: () => void;
  /** How much is held that the peer did not take: 0 unless it is more than a socket should hold. */
  readonly onUnsent: (bytes: number) => void;
}

/**
 * Reads questions off a connection and writes the answers, in the order in which they come to be.
 * @param idleMs a connection that completes no question and takes no answer for so long is closed.
 */
export function answerStream(socket: Socket, hooks: StreamHooks, idleMs: number): void {
  const framing = new MessageFraming();
  let open = 0;
  let hasEnded = false;
  // Not the socket's own time-out, which a client that sends a byte now and then puts off for ever.
  const deadline = setTimeout(() => {
    socket.destroy();
  }, idleMs);
  const peer: Peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
  const write = (message: Uint8Array): void => {
    socket.write(MessageFraming.frame(message));
    deadline.refresh();
  };
  const answered = (answer: Sent): void | Promise<void> => {
    if (answer !== undefined && !(answer instanceof Uint8Array)) return transfer(answer);
    open -= 1;
    if (answer !== undefined && !socket.destroyed) write(answer);
  };
  /** A zone may be far larger than what a socket should hold. */
  const transfer = async (messages: readonly Uint8Array[]): Promise<void> => {
    for (const message of messages) {
      if (socket.destroyed) break;
      write(message);
      if (socket.writableNeedDrain) await drained(socket);
    }
    open -= 1;
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
      hooks.onActive();
      const answer = hooks.respond(message, peer);
      const later = answer instanceof Promise ? answer.then(answered) : answered(answer);
      // Respond promises never to reject, and a write to a closed socket does not throw.
      if (later instanceof Promise) void later.then(readOn);
    }
    socket.uncork();
    hooks.onUnsent(socket.writableNeedDrain ? socket.writableLength : 0);
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

/** It takes more again, or is closed. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      socket.off("drain", end);
      socket.off("close", end);
      resolve();
    };
    socket.once("drain", end);
    socket.once("close", end);
  });
}
