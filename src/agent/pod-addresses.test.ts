import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { IpAddress } from "../net/address.ts";
import { parseIpAddress } from "../net/address.ts";
import { parseCidr } from "../net/cidr.ts";
import { PodAddresses } from "./pod-addresses.ts";

function addresses(text: string): PodAddresses {
  const cidr = parseCidr(text);
  assert.ok(cidr !== undefined);
  return new PodAddresses(cidr);
}

function ip(text: string): IpAddress {
  const parsed = parseIpAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

describe("PodAddresses", () => {
  it("gives neither .0 nor the node's .1 nor the last, and then nothing", () => {
    const pool = addresses("127.81.0.0/29");
    assert.equal(pool.nodeAddress, "127.81.0.1");
    const given = Array.from({ length: 6 }, (_, i) => pool.allocate(`pod-${String(i)}`));
    assert.deepEqual(given, [
      "127.81.0.2",
      "127.81.0.3",
      "127.81.0.4",
      "127.81.0.5",
      "127.81.0.6",
      undefined,
    ]);
  });

  it("does not give an address again before it has gone round", () => {
    const pool = addresses("127.81.0.0/29");
    pool.release(pool.allocate("a") ?? ip("127.81.0.1"), "a");
    assert.equal(pool.allocate("b"), "127.81.0.3");
  });

  it("keeps reserved addresses, and goes on after them", () => {
    const pool = addresses("127.81.0.0/29");
    assert.equal(pool.reserve(ip("127.81.0.4"), "a"), true);
    assert.equal(pool.reserve(ip("127.81.0.4"), "a"), true);
    assert.equal(pool.reserve(ip("127.81.0.4"), "b"), false);
    assert.equal(pool.allocate("c"), "127.81.0.5");
    for (const no of ["127.81.0.0", "127.81.0.1", "127.81.0.7", "127.82.0.2"])
      assert.equal(pool.reserve(ip(no), "d"), false, no);
  });

  it("refuses a range without room", () => {
    assert.throws(() => addresses("127.81.0.0/31"), /too small/);
  });

  it("never gives one address to two holders", () => {
    const step = fc.record({
      kind: fc.constantFrom("allocate", "release", "reserve"),
      holder: fc.nat(9),
      offset: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = addresses("127.81.0.0/28");
        const held = new Map<IpAddress, string>();
        for (const { kind, holder, offset } of steps) {
          const name = `pod-${String(holder)}`;
          const address = ip(`127.81.0.${String(offset)}`);
          if (kind === "release") {
            pool.release(address, name);
            if (held.get(address) === name) held.delete(address);
          } else {
            const given =
              kind === "allocate"
                ? pool.allocate(name)
                : pool.reserve(address, name)
                  ? address
                  : undefined;
            if (given === undefined) continue;
            const other = held.get(given);
            assert.ok(other === undefined || (kind === "reserve" && other === name));
            held.set(given, name);
          }
        }
      }),
    );
  });
});
