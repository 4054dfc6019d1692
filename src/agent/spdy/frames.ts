/** SPDY/3.1 framing (draft-mbelshe-httpbis-spdy 3.1, section 2.6): bytes to frames and back, nothing else. */

export type Frame =
  | {
      readonly kind: "syn-stream";
      readonly streamId: number;
      readonly isLast: boolean;
      readonly isUnidirectional: boolean;
      /** Compressed headers, as in {@link HeaderInflater}. */
      readonly block: Uint8Array;
    }
  | {
      readonly kind: "syn-reply" | "headers";
      readonly streamId: number;
      readonly isLast: boolean;
      readonly block: Uint8Array;
    }
  | { readonly kind: "reset"; readonly streamId: number; readonly status: number }
  | { readonly kind: "settings"; readonly values: readonly Setting[] }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "goaway"; readonly lastStreamId: number; readonly status: number }
  | { readonly kind: "window-update"; readonly streamId: number; readonly delta: number }
  /** A piece of a data frame, or all of it; `isLast`: the stream's sender is done. */
  | {
      readonly kind: "data";
      readonly streamId: number;
      readonly isLast: boolean;
      readonly bytes: Uint8Array;
    };

export interface Setting {
  readonly id: number;
  readonly value: number;
}

export const INITIAL_WINDOW_SETTING = 7;
/** Status of a reset, section 2.6.3. */
export const RESET = { protocolError: 1, invalidStream: 2, refused: 3, cancel: 5 } as const;

/** The peer breaks the protocol; the connection cannot go on. */
export class SpdyError extends Error {
  override readonly name = "SpdyError";
}

const VERSION = 3;
const HEAD_BYTES = 8;
const FIN = 1;
const UNIDIRECTIONAL = 2;
/** Longer control frames are refused: what Kubernetes clients send has some hundred bytes. */
export const MAX_CONTROL_BYTES = 64 * 1024;

const TYPES = {
  "syn-stream": 1,
  "syn-reply": 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  headers: 8,
  "window-update": 9,
} as const;

/**
 * Cuts a byte stream into frames. Keeps at most one control frame; data comes out in pieces as it goes in, as a
 * data frame may have 16 MiB. Control frames of unknown types are passed over.
 */
export class FrameDecoder {
  #kept: Uint8Array = new Uint8Array();
  /** The frame whose payload goes through without being kept. */
  #through:
    | { readonly streamId: number | undefined; readonly isLast: boolean; left: number }
    | undefined;

  /** @throws SpdyError for bytes that no peer may send; the decoder is of no use afterwards. */
  push(chunk: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    let bytes = this.#kept.length === 0 ? chunk : joined(this.#kept, chunk);
    for (;;) {
      const rest =
        this.#through === undefined ? this.#next(bytes, frames) : this.#pass(bytes, frames);
      if (rest === undefined) break;
      bytes = rest;
    }
    // A copy, as the chunk's memory is its owner's.
    this.#kept = this.#through === undefined ? bytes.slice() : new Uint8Array();
    return frames;
  }

  /** Reads a frame's head, and its payload unless it goes through. @returns what follows; undefined: more is needed. */
  #next(bytes: Uint8Array, frames: Frame[]): Uint8Array | undefined {
    if (bytes.length < HEAD_BYTES) return undefined;
    const view = viewOf(bytes);
    const first = view.getUint32(0);
    const flags = view.getUint8(4);
    const length = view.getUint32(4) & 0xffffff;
    const isControl = first >= 0x8000_0000;
    if (!isControl) {
      if (first === 0) throw new SpdyError("data for stream 0");
      this.#through = { streamId: first, isLast: (flags & FIN) !== 0, left: length };
      if (length === 0) frames.push(this.#dataOf(new Uint8Array()));
      if (length === 0) this.#through = undefined;
      return bytes.subarray(HEAD_BYTES);
    }
    const version = (first >>> 16) & 0x7fff;
    if (version !== VERSION) throw new SpdyError(`SPDY version ${String(version)}, not 3`);
    const type = first & 0xffff;
    if (length > MAX_CONTROL_BYTES)
      throw new SpdyError(
        `a control frame of ${String(length)} bytes, over ${String(MAX_CONTROL_BYTES)}`,
      );
    if (!isKnown(type)) {
      this.#through =
        length === 0 ? undefined : { streamId: undefined, isLast: false, left: length };
      return bytes.subarray(HEAD_BYTES);
    }
    const end = HEAD_BYTES + length;
    if (bytes.length < end) return undefined;
    frames.push(controlFrame(type, flags, bytes.slice(HEAD_BYTES, end)));
    return bytes.subarray(end);
  }

  #pass(bytes: Uint8Array, frames: Frame[]): Uint8Array | undefined {
    const through = this.#through;
    if (through === undefined || bytes.length === 0) return undefined;
    const piece = bytes.subarray(0, through.left);
    through.left -= piece.length;
    if (through.streamId !== undefined) frames.push(this.#dataOf(piece));
    if (through.left === 0) this.#through = undefined;
    return bytes.subarray(piece.length);
  }

  #dataOf(bytes: Uint8Array): Frame {
    const { streamId = 0, isLast = false, left = 0 } = this.#through ?? {};
    return { kind: "data", streamId, isLast: isLast && left === 0, bytes };
  }
}

function controlFrame(type: number, flags: number, payload: Uint8Array): Frame {
  const view = viewOf(payload);
  const need = (bytes: number): void => {
    if (payload.length < bytes)
      throw new SpdyError(`a frame of type ${String(type)} with ${String(payload.length)} bytes`);
  };
  const isLast = (flags & FIN) !== 0;
  const word = (at: number): number => {
    need(at + 4);
    return view.getUint32(at);
  };
  // The first bit of a stream's number is reserved.
  const streamAt = (at: number): number => word(at) & 0x7fff_ffff;
  switch (type) {
    case TYPES["syn-stream"]: {
      need(10);
      const isUnidirectional = (flags & UNIDIRECTIONAL) !== 0;
      const block = payload.subarray(10);
      return { kind: "syn-stream", streamId: streamAt(0), isLast, isUnidirectional, block };
    }
    case TYPES["syn-reply"]:
      return { kind: "syn-reply", streamId: streamAt(0), isLast, block: payload.subarray(4) };
    case TYPES.headers:
      return { kind: "headers", streamId: streamAt(0), isLast, block: payload.subarray(4) };
    case TYPES.reset:
      return { kind: "reset", streamId: streamAt(0), status: word(4) };
    case TYPES.settings: {
      const count = word(0);
      if (payload.length !== 4 + count * 8)
        throw new SpdyError("a settings frame of the wrong length");
      const at = (index: number): Setting => ({
        id: word(4 + index * 8) & 0xffffff,
        value: word(8 + index * 8),
      });
      return { kind: "settings", values: Array.from({ length: count }, (_, index) => at(index)) };
    }
    case TYPES.ping:
      return { kind: "ping", id: word(0) };
    case TYPES.goaway:
      return { kind: "goaway", lastStreamId: streamAt(0), status: word(4) };
    default:
      return { kind: "window-update", streamId: streamAt(0), delta: word(4) & 0x7fff_ffff };
  }
}

/** @throws RangeError for data of 16 MiB or more. */
export function encodeFrame(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case "data": {
      const bytes = new Uint8Array(HEAD_BYTES + frame.bytes.length);
      writeHead(bytes, frame.streamId, frame.isLast ? FIN : 0, frame.bytes.length);
      bytes.set(frame.bytes, HEAD_BYTES);
      return bytes;
    }
    case "syn-stream": {
      const flags = (frame.isLast ? FIN : 0) | (frame.isUnidirectional ? UNIDIRECTIONAL : 0);
      // Associated with no stream, highest priority, no credential slot.
      return control(
        frame.kind,
        flags,
        [frame.streamId, 0],
        joined(new Uint8Array(2), frame.block),
      );
    }
    case "syn-reply":
    case "headers":
      return control(frame.kind, frame.isLast ? FIN : 0, [frame.streamId], frame.block);
    case "reset":
      return control(frame.kind, 0, [frame.streamId, frame.status]);
    case "settings":
      return control(frame.kind, 0, [
        frame.values.length,
        ...frame.values.flatMap(({ id, value }) => [id, value]),
      ]);
    case "ping":
      return control(frame.kind, 0, [frame.id]);
    case "goaway":
      return control(frame.kind, 0, [frame.lastStreamId, frame.status]);
    case "window-update":
      return control(frame.kind, 0, [frame.streamId, frame.delta]);
  }
}

function control(
  kind: keyof typeof TYPES,
  flags: number,
  words: readonly number[],
  rest: Uint8Array = new Uint8Array(),
): Uint8Array {
  const length = words.length * 4 + rest.length;
  const bytes = new Uint8Array(HEAD_BYTES + length);
  writeHead(bytes, ((0x8000 | VERSION) * 0x1_0000 + TYPES[kind]) >>> 0, flags, length);
  const view = viewOf(bytes);
  for (const [index, word] of words.entries()) view.setUint32(HEAD_BYTES + index * 4, word);
  bytes.set(rest, HEAD_BYTES + words.length * 4);
  return bytes;
}

function writeHead(bytes: Uint8Array, first: number, flags: number, length: number): void {
  if (length > 0xffffff) throw new RangeError(`a frame of ${String(length)} bytes`);
  const view = viewOf(bytes);
  view.setUint32(0, first);
  view.setUint32(4, ((flags << 24) | length) >>> 0);
}

function isKnown(type: number): boolean {
  return Object.values<number>(TYPES).includes(type);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
