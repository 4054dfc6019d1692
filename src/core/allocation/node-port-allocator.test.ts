import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  allocateNodePort,
  claimNodePort,
  DEFAULT_NODE_PORT_RANGE,
  formatNodePortRange,
  parseNodePortRange,
  staticPortBandSize,
} from "./node-port-allocator.ts";

describe("node ports", () => {
  it("ALLOC-026: keeps the lowest 86 of the default range for requests by number", () => {
    assert.equal(staticPortBandSize(2768), 86);
    assert.equal(staticPortBandSize(16), 0);
    assert.equal(staticPortBandSize(100), 16);
    assert.equal(staticPortBandSize(65_535), 128);
    assert.deepEqual(allocateNodePort(DEFAULT_NODE_PORT_RANGE, new Set(), 0), {
      kind: "allocated",
      port: 30_086,
    });
  });

  it("ALLOC-025: refuses a port out of the range or held", () => {
    const range = { first: 30_000, last: 30_010 };
    assert.deepEqual(claimNodePort(range, new Set(), 29_999), { kind: "outOfRange" });
    assert.deepEqual(claimNodePort(range, new Set(), 30_011), { kind: "outOfRange" });
    assert.deepEqual(claimNodePort(range, new Set([30_003]), 30_003), { kind: "taken" });
    assert.deepEqual(claimNodePort(range, new Set(), 30_010), { kind: "allocated", port: 30_010 });
  });

  it("ALLOC-026: gives every port once, the static band last", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (size, random) => {
          const range = { first: 30_000, last: 30_000 + size - 1 };
          const given: number[] = [];
          for (;;) {
            const result = allocateNodePort(range, new Set(given), random);
            if (result.kind !== "allocated") break;
            given.push(result.port);
          }
          assert.equal(new Set(given).size, size);
          assert.equal(given.length, size);
          const bandEnd = 30_000 + staticPortBandSize(size);
          const firstInBand = given.findIndex((port) => port < bandEnd);
          assert.ok(firstInBand === -1 || given.slice(firstInBand).every((port) => port < bandEnd));
        },
      ),
      { numRuns: 50 },
    );
  });

  it("reads and writes ranges", () => {
    assert.deepEqual(parseNodePortRange("30000-32767"), DEFAULT_NODE_PORT_RANGE);
    assert.equal(formatNodePortRange(DEFAULT_NODE_PORT_RANGE), "30000-32767");
    for (const text of ["", "30000", "5-4", "0-10", "1-65536", "a-b", "1-2-3"]) {
      assert.equal(parseNodePortRange(text), undefined, text);
    }
  });
});
