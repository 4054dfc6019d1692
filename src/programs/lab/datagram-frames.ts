import type { Socket } from "node:net";

/** What goes over a stream for one client's datagrams: a datagram, or why there will be none. */
export interface Frame {
  readonly kind: "datagram" | "error";
  readonly payload: Buffer;
}

const KINDS = ["datagram", "error"] as const;
const HEADER_BYTES = 3;
/** The length of a frame has two bytes, and no datagram is longer. */
const MAX_BYTES = 65_535;

/** A byte for the kind, two for the length, then the payload; what is longer than a datagram can be is cut off. */
export function encodeFrame({ kind, payload }: Frame): Buffer {
  const cut = payload.subarray(0, MAX_BYTES);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(KINDS.indexOf(kind), 0);
  header.writeUInt16BE(cut.length, 1);
  return Buffer.concat([header, cut]);
}

/** Of what has not gone over a stream yet; datagrams beyond it are dropped, as networks do. */
const MAX_WAITING_BYTES = 1_048_576;

/** Sends a frame, unless too much waits already. */
export function sendFrame(stream: Socket, frame: Frame): void {
  if (!stream.destroyed && stream.writableLength < MAX_WAITING_BYTES)
    stream.write(encodeFrame(frame));
}

/** Takes a stream apart into frames; holds less than one. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are complete with these bytes. @throws Error for what is no frame. */
  read(bytes: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.length >= HEADER_BYTES) {
      const kind = KINDS[rest.readUInt8(0)];
      if (kind === undefined) throw new Error("what comes over the stream is no datagram");
      const end = HEADER_BYTES + rest.readUInt16BE(1);
      if (rest.length < end) break;
      frames.push({ kind, payload: rest.subarray(HEADER_BYTES, end) });
      rest = rest.subarray(end);
    }
    // A copy, so that a few bytes do not hold a large buffer.
    this.#rest = Buffer.from(rest);
    return frames;
  }
}
