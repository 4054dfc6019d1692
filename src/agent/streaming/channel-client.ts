import { Readable, Writable } from "node:stream";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { clientSettled, send, startPings } from "./channels.ts";
import { parseTerminalSize } from "./client-streams.ts";
import type { ClientStreams, StreamChoice, TerminalSize } from "./client-streams.ts";
import { renderStatus } from "./status.ts";

/** First byte of each message of the protocols `v4.channel.k8s.io` and `v5.channel.k8s.io`. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** v5 is v4 with a way to say that stdin has ended. */
export const CHANNEL_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;

/** A client that has not read all within so long after the end is cut off. */
const CLOSE_MS = 30_000;

/** A client of exec or attach that speaks channels over a websocket, which is pausing when it comes. `ending` aborts when the agent ends. */
export function channelClient(
  socket: WebSocket,
  transport: Duplex,
  choice: StreamChoice,
  ending: AbortSignal,
): ClientStreams {
  const gone = new AbortController();
  const stdin = choice.stdin ? new Readable({ read: () => socket.resume() }) : undefined;
  let stdinEnded = false;
  let resized: (size: TerminalSize) => void = (size) => (lastSize = size);
  let lastSize: TerminalSize | undefined;
  socket.on("message", (data: Buffer) => {
    const payload = data.subarray(1);
    switch (data[0]) {
      case CHANNEL.stdin:
        // A slow command holds its client up: nothing is read until it has taken this.
        if (payload.length > 0 && !stdinEnded && stdin?.push(payload) === false) socket.pause();
        return;
      case CHANNEL.resize: {
        const size = parseTerminalSize(payload.toString("utf8"));
        if (size !== undefined) resized(size);
        return;
      }
      case CHANNEL.close:
        if (payload[0] !== CHANNEL.stdin || stdinEnded) return;
        stdinEnded = true;
        stdin?.push(null);
        return;
      case undefined:
        // An empty message, and those on other channels say nothing to a server.
        return;
    }
  });
  const settled = clientSettled(socket);
  const pings = startPings(socket);
  const end = (): void => gone.abort(new Error("the client is gone"));
  socket.on("error", end);
  // The transport's own end, as the websocket's comes only when all has been read, and we may be pausing.
  transport.once("close", () => {
    clearInterval(pings);
    ending.removeEventListener("abort", cut);
    stdin?.destroy();
    end();
  });
  const cut = (): void => socket.terminate();
  ending.addEventListener("abort", cut, { once: true });
  socket.resume();
  const writer = (channel: number): Writable => channelWriter(socket, channel, settled);
  const stdout = choice.stdout ? writer(CHANNEL.stdout) : undefined;
  // A terminal has one output.
  const stderr = choice.stderr && !choice.tty ? writer(CHANNEL.stderr) : undefined;
  return {
    stdin,
    stdout,
    stderr,
    gone: gone.signal,
    onResize(listener) {
      resized = listener;
      if (lastSize !== undefined) listener(lastSize);
    },
    async finish(status) {
      await settled;
      // What was written last may still wait for what was written before; the client hears no more after the end.
      await Promise.all([flushed(stdout), flushed(stderr)]);
      await send(socket, CHANNEL.error, Buffer.from(renderStatus(status)));
      // Unread input must not keep the answer to our close from being seen.
      stdin?.destroy();
      socket.resume();
      const timer = setTimeout(cut, CLOSE_MS);
      transport.once("close", () => clearTimeout(timer));
      socket.close(1000);
    },
  };
}

function channelWriter(socket: WebSocket, channel: number, settled: Promise<void>): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      // Never rejects.
      void settled.then(() => send(socket, channel, chunk)).then(() => done());
    },
  });
}

/** Resolves when all is on its way, or the client is gone. */
async function flushed(writer: Writable | undefined): Promise<void> {
  if (writer === undefined) return;
  await new Promise<void>((resolve) => {
    writer.end(() => resolve());
  });
}
