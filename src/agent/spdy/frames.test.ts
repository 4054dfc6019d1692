import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameDecoder, MAX_CONTROL_BYTES, SpdyError, encodeFrame } from "./frames.ts";
import type { Frame } from "./frames.ts";

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** Frames and their bytes as the draft lays them out. */
const PINNED: readonly { readonly frame: Frame; readonly hex: string }[] = [
  {
    frame: {
      kind: "syn-stream",
      streamId: 1,
      isLast: true,
      isUnidirectional: true,
      block: bytes("aabb"),
    },
    hex: "8003 0001 03 00000c 00000001 00000000 0000 aabb",
  },
  {
    frame: { kind: "syn-reply", streamId: 3, isLast: false, block: bytes("aa") },
    hex: "8003 0002 00 000005 00000003 aa",
  },
  {
    frame: { kind: "headers", streamId: 3, isLast: true, block: bytes("") },
    hex: "8003 0008 01 000004 00000003",
  },
  {
    frame: { kind: "reset", streamId: 5, status: 5 },
    hex: "8003 0003 00 000008 00000005 00000005",
  },
  {
    frame: { kind: "settings", values: [{ id: 7, value: 65536 }] },
    hex: "8003 0004 00 00000c 00000001 00000007 00010000",
  },
  { frame: { kind: "ping", id: 1 }, hex: "8003 0006 00 000004 00000001" },
  {
    frame: { kind: "goaway", lastStreamId: 9, status: 1 },
    hex: "8003 0007 00 000008 00000009 00000001",
  },
  {
    frame: { kind: "window-update", streamId: 1, delta: 0x7fffffff },
    hex: "8003 0009 00 000008 00000001 7fffffff",
  },
  {
    frame: { kind: "data", streamId: 0x7fffffff, isLast: true, bytes: bytes("616263") },
    hex: "7fffffff 01 000003 616263",
  },
  {
    frame: { kind: "data", streamId: 1, isLast: false, bytes: bytes("") },
    hex: "00000001 00 000000",
  },
];

/** Frames with the pieces of data of one stream that follow each other put together, as plain values. */
function merged(frames: readonly Frame[]): readonly unknown[] {
  const all: { readonly kind: string; readonly streamId?: number; text?: string }[] = [];
  let isOpen = false;
  for (const frame of frames) {
    if (frame.kind !== "data") {
      all.push("block" in frame ? { ...frame, text: hexOf(frame.block) } : frame);
      isOpen = false;
      continue;
    }
    const { streamId, isLast, bytes: piece } = frame;
    const last = all.at(-1);
    if (isOpen && last?.streamId === streamId) last.text = (last.text ?? "") + hexOf(piece);
    else all.push({ kind: "data", streamId, text: hexOf(piece) });
    isOpen = !isLast;
  }
  return all.map((frame) => ({ ...frame, block: undefined }));
}
const hexOf = (piece: Uint8Array): string => Buffer.from(piece).toString("hex");

describe("encodeFrame() and FrameDecoder", () => {
  for (const { frame, hex } of PINNED) {
    it(`agree on the bytes of ${frame.kind} ${hex}`, () => {
      assert.equal(hexOf(encodeFrame(frame)), hex.replaceAll(" ", ""));
      assert.deepEqual(merged(new FrameDecoder().push(bytes(hex))), merged([frame]));
    });
  }

  it("gives the same frames however the bytes are cut", () => {
    const streams = PINNED.map(({ frame }) => frame).filter(({ kind }) => kind !== "data");
    const data = fc.record({
      kind: fc.constant("data" as const),
      streamId: fc.integer({ min: 1, max: 5 }),
      isLast: fc.constant(true),
      bytes: fc.uint8Array({ maxLength: 300 }),
    });
    const frames = fc.array(fc.oneof(fc.constantFrom(...streams), data), { maxLength: 12 });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const all = Buffer.concat(sent.map(encodeFrame));
        const decoder = new FrameDecoder();
        const got: Frame[] = [];
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          got.push(...decoder.push(all.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(merged(got), merged(sent));
      }),
    );
  });

  it("passes over control frames of types that it does not know", () => {
    const unknown = bytes("8003 00ff 00 000003 010203");
    const ping = encodeFrame({ kind: "ping", id: 7 });
    const frames = new FrameDecoder().push(Buffer.concat([unknown, ping]));
    assert.deepEqual(frames, [{ kind: "ping", id: 7 }]);
  });

  const refused = {
    "another version": "8002 0006 00 000004 00000001",
    "data for no stream": "00000000 00 000001 61",
    "a ping that is too short": "8003 0006 00 000002 0000",
    "settings of the wrong length": "8003 0004 00 000004 00000009",
    "a SYN_STREAM that is too short": "8003 0001 00 000004 00000001",
    "a control frame of 16 MiB": "8003 0001 00 ffffff",
  };
  for (const [what, hex] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => new FrameDecoder().push(bytes(hex)), SpdyError);
    });
  }

  it("never fails otherwise, and keeps no more than a control frame", () => {
    const frameLike = fc
      .tuple(
        fc.constantFrom(0x80030001, 0x80030002, 0x80030004, 0x80030009, 0x800300aa, 1, 0x7fffffff),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 60 }),
        fc.uint8Array({ maxLength: 60 }),
      )
      .map(([first, flags, length, rest]) => {
        const head = Buffer.alloc(8);
        head.writeUInt32BE(first);
        head.writeUInt32BE(flags * 0x1000000 + length, 4);
        return Buffer.concat([head, rest]);
      });
    const input = fc.array(fc.oneof(fc.uint8Array({ maxLength: 64 }), frameLike), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(input, (chunks) => {
        const decoder = new FrameDecoder();
        try {
          for (const chunk of chunks) decoder.push(chunk);
        } catch (error) {
          assert.ok(error instanceof SpdyError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
    // A frame of the greatest allowed size that comes in pieces is kept whole, then given out.
    const block = new Uint8Array(MAX_CONTROL_BYTES - 10);
    const frame = {
      kind: "syn-stream",
      streamId: 1,
      isLast: false,
      isUnidirectional: false,
    } as const;
    const whole = encodeFrame({ ...frame, block });
    const decoder = new FrameDecoder();
    assert.deepEqual(decoder.push(whole.subarray(0, 40_000)), []);
    assert.equal(decoder.push(whole.subarray(40_000)).length, 1);
  });
});
