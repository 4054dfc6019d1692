import type { Duplex } from "node:stream";
import { SpdyConnection } from "../spdy/connection.ts";
import type { SpdyStream } from "../spdy/connection.ts";
import { parseTerminalSize } from "./client-streams.ts";
import type { ClientStreams, StreamChoice, TerminalSize } from "./client-streams.ts";
import { renderStatus } from "./status.ts";

/** The client opens a stream for each of the command's, and one for its end. */
const OPEN_WITHIN_MS = 30_000;
/** And closes the connection when it has read all. */
const CLOSE_WITHIN_MS = 30_000;
export const SPDY_PROTOCOLS = ["v4.channel.k8s.io"] as const;

/**
 * A client of exec or attach that speaks SPDY/3.1; resolves when it has opened the streams it asked for.
 * @throws Error when it does not in 30 seconds, or goes away.
 */
export async function spdyClient(
  transport: Duplex,
  choice: StreamChoice,
  ending: AbortSignal,
): Promise<ClientStreams> {
  const wanted = new Set(["error"]);
  if (choice.stdin) wanted.add("stdin");
  if (choice.stdout) wanted.add("stdout");
  if (choice.stderr && !choice.tty) wanted.add("stderr");
  if (choice.tty) wanted.add("resize");
  const streams = new Map<string, Duplex>();
  let complete = (): void => undefined;
  const completed = new Promise<void>((resolve) => (complete = resolve));
  const connection = new SpdyConnection(transport, ({ headers, duplex }: SpdyStream) => {
    const type = headers.get("streamtype") ?? "";
    if (!wanted.has(type) || streams.has(type)) {
      duplex.destroy();
      return;
    }
    streams.set(type, duplex);
    if (streams.size === wanted.size) complete();
  });
  const gone = new AbortController();
  const cut = (): void => {
    transport.destroy();
  };
  ending.addEventListener("abort", cut, { once: true });
  // Never rejects: it ends for whatever reason.
  void connection.closed.then(() => {
    ending.removeEventListener("abort", cut);
    gone.abort(new Error("the client is gone"));
  });
  const timer = setTimeout(() => connection.close(), OPEN_WITHIN_MS);
  await Promise.race([completed, connection.closed]);
  clearTimeout(timer);
  if (streams.size < wanted.size)
    throw new Error(`the client opened only these streams: ${[...streams.keys()].join(", ")}`);
  let resized: (size: TerminalSize) => void = (size) => (lastSize = size);
  let lastSize: TerminalSize | undefined;
  streams.get("resize")?.on("data", (chunk: Buffer) => {
    const size = parseTerminalSize(chunk.toString("utf8"));
    if (size !== undefined) resized(size);
  });
  return {
    stdin: streams.get("stdin"),
    stdout: streams.get("stdout"),
    stderr: streams.get("stderr"),
    gone: gone.signal,
    onResize(listener) {
      resized = listener;
      if (lastSize !== undefined) listener(lastSize);
    },
    async finish(status) {
      for (const name of ["stdout", "stderr"]) streams.get(name)?.end();
      streams.get("error")?.end(renderStatus(status));
      // The client closes when it has read all; it would drop what it has not read yet when we did.
      const late = setTimeout(() => connection.close(), CLOSE_WITHIN_MS);
      await connection.closed;
      clearTimeout(late);
    },
  };
}
