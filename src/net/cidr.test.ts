import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseIpAddress } from "./address.ts";
import {
  cidrAddress,
  cidrBits,
  cidrContains,
  cidrFamily,
  cidrSize,
  cidrsOverlap,
  parseCidr,
} from "./cidr.ts";
import type { Cidr } from "./cidr.ts";

describe("parseCidr()", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["10.96.0.0/16", "10.96.0.0/16"],
    ["10.96.3.4/16", "10.96.0.0/16"],
    ["10.96.3.4/32", "10.96.3.4/32"],
    ["10.96.3.4/0", "0.0.0.0/0"],
    ["10.96.0.0/33", undefined],
    ["10.96.0.0", undefined],
    ["10.96.0.0/", undefined],
    ["fd00:1::5/112", "fd00:1::/112"],
    ["fd00::/129", undefined],
  ];
  for (const [text, expected] of cases) {
    it(`gives ${String(expected)} for ${text}`, () => {
      assert.equal(parseCidr(text), expected);
    });
  }
});

const anyCidr = fc
  .oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  )
  .map(([address, bits]) => parseCidr(`${address}/${String(bits)}`))
  .filter((cidr): cidr is Cidr => cidr !== undefined);

describe("a CIDR", () => {
  it("contains exactly its cidrSize() addresses from cidrAddress()", () => {
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        const size = cidrSize(cidr);
        assert.ok(cidrContains(cidr, cidrAddress(cidr, 0n)));
        assert.ok(cidrContains(cidr, cidrAddress(cidr, size - 1n)));
        const width = cidrFamily(cidr) === "IPv4" ? 32 : 128;
        assert.equal(size, 1n << BigInt(width - cidrBits(cidr)));
        const behind = cidrAddress(cidr, size);
        // Behind the last range of all, counting starts again at the first address.
        if (cidrBits(cidr) > 0) assert.equal(cidrContains(cidr, behind), false);
      }),
    );
  });

  it("overlaps another exactly when one contains the other", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        assert.equal(cidrsOverlap(a, b), cidrsOverlap(b, a));
        assert.ok(cidrsOverlap(a, a));
        if (cidrFamily(a) !== cidrFamily(b)) assert.equal(cidrsOverlap(a, b), false);
      }),
    );
  });

  it("holds no address of the other family", () => {
    const v4 = parseCidr("0.0.0.0/0");
    const v6 = parseIpAddress("::1");
    assert.ok(v4 !== undefined && v6 !== undefined);
    assert.equal(cidrContains(v4, v6), false);
  });
});
