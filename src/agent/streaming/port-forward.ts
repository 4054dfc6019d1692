import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SpdyConnection } from "../spdy/connection.ts";
import type { SpdyStream } from "../spdy/connection.ts";

export const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";

/** The Pod whose ports are forwarded. */
export interface ForwardTarget {
  readonly podIp: string;
  /** For messages, as kubelet's: the Pod's name. */
  readonly name: string;
  readonly uid: string;
}

const CONNECT_MS = 30_000;
/** An error stream and a data stream make a forwarded connection; this many may lack their other half. */
const MAX_UNPAIRED = 256;

/**
 * Forwards connections to ports of a Pod until the client goes. The client opens for each connection a stream
 * `error` and a stream `data` with the same `requestid`; data streams carry the bytes, and what goes wrong is
 * written to the error stream.
 */
export async function runPortForward(
  transport: Duplex,
  target: ForwardTarget,
  ending: AbortSignal,
): Promise<void> {
  const unpaired = new Map<string, { readonly type: string; readonly stream: SpdyStream }>();
  const connection = new SpdyConnection(transport, (stream) => {
    const type = stream.headers.get("streamtype") ?? "";
    const request = `${stream.headers.get("requestid") ?? ""} ${stream.headers.get("port") ?? ""}`;
    const other = unpaired.get(request);
    if ((type !== "data" && type !== "error") || other?.type === type) {
      stream.duplex.destroy();
      return;
    }
    if (other === undefined) {
      if (unpaired.size >= MAX_UNPAIRED) stream.duplex.destroy();
      else {
        unpaired.set(request, { type, stream });
        stream.duplex.once("close", () => {
          if (unpaired.get(request)?.stream === stream) unpaired.delete(request);
        });
      }
      return;
    }
    unpaired.delete(request);
    const [data, error] = type === "data" ? [stream, other.stream] : [other.stream, stream];
    const port = Number(stream.headers.get("port"));
    // Never rejects: what goes wrong is told to the client.
    void forward(data.duplex, error.duplex, port, target);
  });
  const close = (): void => connection.close();
  ending.addEventListener("abort", close, { once: true });
  if (ending.aborted) close();
  await connection.closed;
  ending.removeEventListener("abort", close);
}

/** Carries one connection. `errors` is closed at the end in any case, as clients wait for that. */
export async function forward(
  data: Duplex,
  errors: Duplex,
  port: number,
  target: ForwardTarget,
): Promise<void> {
  errors.resume();
  const problem = await carry(data, port, target);
  if (problem === undefined) errors.end();
  else {
    const where = `error forwarding port ${String(port)} to pod ${target.name}, uid ${target.uid}`;
    errors.end(`${where}: ${problem}`);
  }
}

/** @returns why the port could not be reached. A connection that breaks later just ends. */
async function carry(
  data: Duplex,
  port: number,
  { podIp }: ForwardTarget,
): Promise<string | undefined> {
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    data.end();
    return "the port must be between 1 and 65535";
  }
  const socket = connect({ host: podIp, port, allowHalfOpen: true });
  const problem = await new Promise<string | undefined>((resolve) => {
    socket.once("connect", () => resolve(undefined));
    socket.once("error", (error) => resolve(error.message));
    socket.once("close", () => resolve("the connection was closed"));
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error("no answer within 30 seconds")));
    data.once("close", () => socket.destroy());
  });
  socket.setTimeout(0);
  if (problem !== undefined) {
    socket.destroy();
    data.end();
    return problem;
  }
  socket.setNoDelay(true);
  await Promise.allSettled([
    pipeline(data, socket).catch(() => socket.destroy()),
    pipeline(socket, data).catch(() => data.destroy()),
  ]);
  return undefined;
}
