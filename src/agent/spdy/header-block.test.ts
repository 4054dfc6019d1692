import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDeflate } from "node:zlib";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { headerDictionary } from "./dictionary.ts";
import { FrameDecoder, SpdyError } from "./frames.ts";
import { HeaderDeflater, HeaderInflater, decodeHeaders, encodeHeaders } from "./header-block.ts";

describe("headerDictionary()", () => {
  it("is the one of SPDY/3", () => {
    let a = 1;
    let b = 0;
    for (const byte of headerDictionary()) {
      a = (a + byte) % 65521;
      b = (b + a) % 65521;
    }
    assert.equal(headerDictionary().length, 1423);
    assert.equal((b * 0x10000 + a).toString(16), "e3c6a7c2");
  });
});

describe("HeaderInflater", () => {
  it("reads what kubectl 1.32 sends to forward a port", async () => {
    const sent =
      "800300010000003e0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb" +
      "45e01c60616061c0c0c0c0590489c64c50f2663400000000ffff";
    const [frame] = new FrameDecoder().push(Buffer.from(sent, "hex"));
    assert.equal(frame?.kind, "syn-stream");
    assert.ok("block" in frame);
    using inflater = new HeaderInflater();
    assert.deepEqual(Object.fromEntries(await inflater.read(frame.block)), {
      streamtype: "error",
      port: "8080",
      requestid: "0",
    });
  });

  it("reads what HeaderDeflater writes, block after block", async () => {
    const text = fc.string({ maxLength: 40, unit: "binary-ascii" });
    const headers = fc.dictionary(
      text.filter((name) => name !== ""),
      text,
      { maxKeys: 6, noNullPrototype: true },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(headers, { maxLength: 5 }), async (blocks) => {
        using deflater = new HeaderDeflater();
        using inflater = new HeaderInflater();
        for (const block of blocks) {
          const sent = new Map(Object.entries(block));
          assert.deepEqual(await inflater.read(await deflater.write(sent)), sent);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("refuses a small block that would become a large one", async () => {
    const deflate = createDeflate({ dictionary: headerDictionary() });
    deflate.end(Buffer.alloc(50 * 1024 * 1024));
    const bomb = await buffer(deflate);
    using inflater = new HeaderInflater();
    await assert.rejects(inflater.read(bomb), /larger than 65536 bytes/);
  });

  it("refuses whatever is no header block, and nothing else happens", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (block) => {
        using inflater = new HeaderInflater();
        await inflater.read(block).then(undefined, (error: unknown) => {
          assert.ok(error instanceof SpdyError, String(error));
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("decodeHeaders()", () => {
  it("reads what encodeHeaders() writes, and refuses it cut or with more behind it", () => {
    const headers = new Map([
      ["port", "80"],
      ["streamtype", "data"],
    ]);
    const block = encodeHeaders(headers);
    assert.deepEqual(decodeHeaders(block), headers);
    for (let length = 0; length < block.length; length++)
      assert.throws(() => decodeHeaders(block.subarray(0, length)), SpdyError);
    assert.throws(() => decodeHeaders(Buffer.concat([block, Buffer.from("x")])), SpdyError);
  });

  it("fails only with SpdyError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (block) => {
        try {
          decodeHeaders(Buffer.from(block));
        } catch (error) {
          assert.ok(error instanceof SpdyError, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });
});
