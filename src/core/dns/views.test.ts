import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { slice } from "../../../test/dns/zone.ts";
import { sliceView } from "./views.ts";

const endpoint = fc.record({
  addresses: fc
    .constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.004", "fd00::", "fd00::1", "no")
    .map((address) => [address]),
  hostname: fc.constantFrom(undefined, "", "db-0", "DB-1", "10-0-0-1"),
  conditions: fc.constantFrom({}, { ready: true }, { ready: false }),
  targetRef: fc.constantFrom(undefined, { kind: "Pod", name: "web-x" }, { name: "a.b" }),
});

describe("sliceView()", () => {
  it("gives the same, whatever is known of the slice before", () => {
    const endpoints = fc.array(endpoint, { maxLength: 12 });
    fc.assert(
      fc.property(endpoints, endpoints, fc.boolean(), (before, after, usesPodNames) => {
        const known = sliceView(slice("db", before), usesPodNames)?.endpoints;
        const view = sliceView(slice("db", after), usesPodNames, known);
        assert.deepEqual(view, sliceView(slice("db", after), usesPodNames));
      }),
      { numRuns: 1000 },
    );
  });

  it("hands out again what stayed, around some that went and one that came", () => {
    const all = Array.from({ length: 20 }, (_, i) => ({ addresses: [`10.0.0.${String(i)}`] }));
    const known = sliceView(slice("db", all))?.endpoints ?? [];
    const changed = [...all.slice(0, 3), { addresses: ["10.0.1.1"] }, ...all.slice(9)];
    const view = sliceView(slice("db", changed), false, known);
    const stayed = view?.endpoints.filter((each) => known.includes(each));
    assert.deepEqual(stayed, [...known.slice(0, 3), ...known.slice(9)]);
  });
});
