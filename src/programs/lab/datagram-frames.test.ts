import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeFrame, FrameReader } from "./datagram-frames.ts";
import type { Frame } from "./datagram-frames.ts";

const frames = fc.array(
  fc
    .tuple(
      fc.constantFrom("datagram" as const, "error" as const),
      fc.uint8Array({ maxLength: 300 }),
    )
    .map(([kind, bytes]): Frame => ({ kind, payload: Buffer.from(bytes) })),
);

describe("datagrams over a stream", () => {
  it("come out as they went in, however the stream is cut", () => {
    fc.assert(
      fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(encodeFrame));
        const reader = new FrameReader();
        const got: Frame[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value ?? 1;
          got.push(...reader.read(bytes.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(got, sent);
      }),
    );
  });

  it("may be as long as UDP has them, and empty", () => {
    for (const length of [0, 65_507]) {
      const payload = Buffer.alloc(length, 7);
      const [frame] = new FrameReader().read(encodeFrame({ kind: "datagram", payload }));
      assert.deepEqual(frame?.payload, payload);
    }
  });

  it("are told from anything else", () => {
    assert.throws(() => new FrameReader().read(Buffer.from("GET / HTTP/1.1")), /is no datagram/);
  });
});
