import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  ipFamilyOf,
  ipFromBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  isLinkLocalMulticast,
  isLinkLocalUnicast,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseIpAddress,
} from "./address.ts";
import type { IpAddress } from "./address.ts";

describe("parseIpAddress()", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["256.0.0.1", undefined],
    ["1.2.3", undefined],
    ["1.2.3.4.5", undefined],
    ["1.2.3.x", undefined],
    ["", undefined],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:2:0:0:3:0:0", "1:0:2::3:0:0"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1::2::3", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1:2:3:4:5:6:7:8::", undefined],
    ["12345::", undefined],
    ["fe80::1%eth0", undefined],
    [":1:2:3:4:5:6:7", undefined],
  ];
  for (const [text, expected] of cases) {
    it(`gives ${String(expected)} for ${JSON.stringify(text)}`, () => {
      assert.equal(parseIpAddress(text), expected);
    });
  }

  it("VAL-030: reads leading zeros of IPv4 as decimal", () => {
    assert.equal(parseIpAddress("010.001.000.008"), "10.1.0.8");
  });

  it("is the inverse of its own result for every address", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parsed(text);
        assert.equal(parseIpAddress(address), address);
        assert.notEqual(isIP(address), 0);
        assert.deepEqual(ipFromBytes(ipToBytes(address)), address);
        assert.equal(ipFromBigInt(ipFamilyOf(address), ipToBigInt(address)), address);
      }),
    );
  });

  it("accepts what Node's own parser accepts, and nothing else", () => {
    const text = fc.string({
      unit: fc.constantFrom(..."0123456789abf:.".split("")),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, (candidate) => {
        // Node refuses leading zeros in IPv4, which Kubernetes reads as decimal.
        fc.pre(!/(^|\.)0\d/.test(candidate));
        assert.equal(parseIpAddress(candidate) !== undefined, isIP(candidate) !== 0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("special ranges", () => {
  const cases: readonly (readonly [string, (address: IpAddress) => boolean, boolean])[] = [
    ["127.255.0.1", isLoopback, true],
    ["::1", isLoopback, true],
    ["128.0.0.1", isLoopback, false],
    ["0.0.0.0", isUnspecified, true],
    ["::", isUnspecified, true],
    ["169.254.1.1", isLinkLocalUnicast, true],
    ["fe80::1", isLinkLocalUnicast, true],
    ["febf::1", isLinkLocalUnicast, true],
    ["fec0::1", isLinkLocalUnicast, false],
    ["224.0.0.251", isLinkLocalMulticast, true],
    ["224.0.1.1", isLinkLocalMulticast, false],
    ["ff02::1", isLinkLocalMulticast, true],
    ["ff05::1", isLinkLocalMulticast, false],
    ["239.1.2.3", isMulticast, true],
    ["240.0.0.1", isMulticast, false],
    ["ff05::1", isMulticast, true],
  ];
  for (const [text, is, expected] of cases) {
    it(`${is.name}(${text}) is ${String(expected)}`, () => {
      assert.equal(is(parsed(text)), expected);
    });
  }
});

function parsed(text: string): IpAddress {
  const address = parseIpAddress(text);
  assert.ok(address !== undefined, text);
  return address;
}
