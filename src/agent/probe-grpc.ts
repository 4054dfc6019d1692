import { connect } from "node:http2";
import { reasonOf } from "../async/sleep.ts";

/** Answers of grpc.health.v1.Health/Check; 1 is SERVING. */
const SERVING_NAMES: Readonly<Record<number, string>> = {
  0: "UNKNOWN",
  1: "SERVING",
  2: "NOT_SERVING",
  3: "SERVICE_UNKNOWN",
};

/** A health answer is a few bytes; whoever sends more is no health service. */
const MAX_ANSWER_BYTES = 4096;

/**
 * Asks a server's gRPC health service over plain HTTP/2 and gives why it does not serve, or undefined when it
 * does. The two messages are so small that they are coded here by hand (protocol: grpc/doc/health-checking.md).
 * @throws the signal's reason or the socket's error.
 */
export async function grpcHealthProblem(
  target: { readonly address: string; readonly port: number },
  service: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const host = target.address.includes(":") ? `[${target.address}]` : target.address;
  const session = connect(`http://${host}:${String(target.port)}`);
  const abort = (): void => {
    session.destroy();
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) throw reasonOf(signal);
    return await new Promise<string | undefined>((resolve, reject) => {
      session.once("error", reject);
      session.once("close", () => {
        reject(
          signal.aborted ? reasonOf(signal) : new Error("connection closed before the answer"),
        );
      });
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.health.v1.Health/Check",
        "content-type": "application/grpc",
        te: "trailers",
        "user-agent": "kube-probe/portolan",
      });
      let status: string | undefined;
      let body = Buffer.alloc(0);
      const noteStatus = (headers: Readonly<Record<string, unknown>>): void => {
        const value = headers["grpc-status"];
        if (typeof value === "string") status = value;
      };
      stream.on("response", noteStatus);
      stream.on("trailers", noteStatus);
      stream.on("data", (chunk: Buffer) => {
        if (body.length < MAX_ANSWER_BYTES) body = Buffer.concat([body, chunk]);
      });
      stream.once("error", reject);
      stream.once("end", () => {
        resolve(status === "0" ? problemOf(parseHealthAnswer(body)) : refused(status));
      });
      stream.end(encodeHealthQuestion(service));
    });
  } finally {
    signal.removeEventListener("abort", abort);
    session.destroy();
  }
}

function problemOf(status: number | undefined): string | undefined {
  if (status === 1) return undefined;
  if (status === undefined) return "the health service's answer cannot be read";
  return `service unhealthy (responded with "${SERVING_NAMES[status] ?? String(status)}")`;
}

function refused(status: string | undefined): string {
  return status === "12"
    ? "the server does not implement grpc.health.v1.Health"
    : `health check failed with grpc-status ${status ?? "(none)"}`;
}

/** HealthCheckRequest{service} as a gRPC message: flag, length, field 1 of type string. */
export function encodeHealthQuestion(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const message =
    name.length === 0
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The status of a HealthCheckResponse; 0 when not set, undefined when the bytes are no such message. */
export function parseHealthAnswer(bytes: Buffer): number | undefined {
  if (bytes.length < 5 || bytes[0] !== 0) return undefined;
  const length = bytes.readUInt32BE(1);
  if (bytes.length < 5 + length) return undefined;
  if (length === 0) return 0;
  // The message has one field, an enum below 128: two bytes.
  return length === 2 && bytes[5] === 0x08 && (bytes[6] ?? 0x80) < 0x80 ? bytes[6] : undefined;
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.from([...out, rest]);
}
