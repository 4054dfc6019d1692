import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ipFromBytes, parseIpAddress } from "../net/address.ts";
import { decodeSocketAddress, encodeSocketAddress } from "./socket-address.ts";

function hex(text: string, port: number): string {
  const address = parseIpAddress(text);
  assert.ok(address !== undefined);
  return Buffer.from(encodeSocketAddress(address, port)).toString("hex");
}

describe("encodeSocketAddress()", () => {
  it("writes what Linux has on a little-endian machine", () => {
    assert.equal(hex("127.0.0.1", 10_053), "020027457f0000010000000000000000");
    assert.equal(
      hex("fd00::35", 53),
      "0a00003500000000fd0000000000000000000000000000350000000000000000".slice(0, 56),
    );
  });

  it("is undone by decodeSocketAddress()", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, fc.nat(0xffff), (raw, port) => {
        const address = ipFromBytes(raw);
        const decoded = decodeSocketAddress(encodeSocketAddress(address, port));
        assert.deepEqual(decoded, { address, port });
      }),
    );
  });

  it("knows no other family", () => {
    assert.equal(decodeSocketAddress(Uint8Array.of(1, 0, 47, 114)), undefined);
    assert.equal(decodeSocketAddress(new Uint8Array()), undefined);
  });
});
