import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { allocateIp, claimIp, staticBandSize } from "./ip-allocator.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, text);
  return parsed;
}
function ip(text: string): IpAddress {
  const parsed = parseIpAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

describe("allocateIp()", () => {
  it("ALLOC-007: keeps the lower band for requests by address", () => {
    const sizes: readonly [bigint, bigint][] = [
      [8n, 0n],
      [16n, 0n],
      [32n, 16n],
      [256n, 16n],
      [1024n, 64n],
      [65_536n, 256n],
      [1n << 64n, 256n],
    ];
    for (const [size, band] of sizes) assert.equal(staticBandSize(size), band);
    assert.deepEqual(allocateIp(cidr("10.0.0.0/24"), new Set(), 0), {
      kind: "allocated",
      ip: "10.0.0.16",
    });
  });

  it("ALLOC-007: falls into the band when all above it is held", () => {
    const used = new Set<IpAddress>();
    for (let i = 0; i < 239; i++) {
      const result = allocateIp(cidr("10.0.0.0/24"), used, 0.5);
      assert.ok(result.kind === "allocated" && Number(result.ip.split(".")[3]) >= 16);
      used.add(result.ip);
    }
    const inBand: number[] = [];
    for (let i = 0; i < 15; i++) {
      const result = allocateIp(cidr("10.0.0.0/24"), used, 0.5);
      assert.ok(result.kind === "allocated");
      inBand.push(Number(result.ip.split(".")[3]));
      used.add(result.ip);
    }
    // ALLOC-005: neither .0 nor .255 among them.
    assert.deepEqual(
      inBand.toSorted((a, b) => a - b),
      Array.from({ length: 15 }, (_, i) => i + 1),
    );
    assert.deepEqual(allocateIp(cidr("10.0.0.0/24"), used, 0.5), { kind: "exhausted" });
  });

  it("ALLOC-009: starts where the random number says", () => {
    const at = (random: number): unknown => allocateIp(cidr("10.0.0.0/24"), new Set(), random);
    assert.deepEqual(at(0.5), { kind: "allocated", ip: "10.0.0.135" });
    assert.deepEqual(at(0.999), { kind: "allocated", ip: "10.0.0.254" });
  });

  it("ALLOC-006: gives addresses of an IPv6 range of 2^64", () => {
    const result = allocateIp(cidr("fd00::/64"), new Set(), 0.75);
    assert.deepEqual(result, { kind: "allocated", ip: "fd00::c000:0:0:40" });
  });

  it("ALLOC-005, ALLOC-009: never gives one address twice, and gives every usable one", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 22, max: 30 }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
        (bits, randoms) => {
          const range = cidr(`10.0.0.0/${String(bits)}`);
          const used = new Set<IpAddress>();
          for (let i = 0; ; i++) {
            const result = allocateIp(range, used, randoms[i % randoms.length] ?? 0);
            if (result.kind !== "allocated") break;
            assert.ok(!used.has(result.ip), result.ip);
            used.add(result.ip);
          }
          assert.equal(used.size, 2 ** (32 - bits) - 2);
        },
      ),
      { numRuns: 20 },
    );
  });

  it("has nothing to give in a range without usable addresses", () => {
    assert.deepEqual(allocateIp(cidr("10.0.0.0/32"), new Set(), 0), { kind: "exhausted" });
    assert.deepEqual(allocateIp(cidr("10.0.0.0/31"), new Set(), 0), { kind: "exhausted" });
  });
});

describe("claimIp()", () => {
  it("ALLOC-008: takes any usable address, in the band or above it", () => {
    for (const text of ["10.0.0.1", "10.0.0.200", "10.0.0.254"]) {
      assert.deepEqual(claimIp(cidr("10.0.0.0/24"), new Set(), ip(text)), {
        kind: "allocated",
        ip: text,
      });
    }
  });

  it("ALLOC-002, ALLOC-005: refuses held, foreign, first and last addresses", () => {
    const range = cidr("10.0.0.0/24");
    assert.deepEqual(claimIp(range, new Set([ip("10.0.0.9")]), ip("10.0.0.9")), { kind: "taken" });
    for (const text of ["10.0.1.9", "10.0.0.0", "10.0.0.255", "fd00::9"]) {
      assert.deepEqual(claimIp(range, new Set(), ip(text)), { kind: "outOfRange" });
    }
    assert.deepEqual(claimIp(cidr("fd00::/120"), new Set(), ip("fd00::ff")), {
      kind: "allocated",
      ip: "fd00::ff",
    });
  });
});
