import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { paceOf, rollDown, rollUp, scaleProportionally } from "./rolling.ts";
import type { Part } from "./rolling.ts";

const part = fc
  .tuple(fc.nat(20), fc.nat(20))
  .map(([wanted, available]): Part => ({ wanted, available: Math.min(wanted, available) }));
const pace = fc
  .tuple(fc.nat(20), fc.nat(100), fc.nat(100))
  .map(([replicas, surge, missing]) =>
    paceOf(replicas, `${String(surge)}%`, `${String(missing)}%`),
  );

describe("the pace of an update", () => {
  it("rounds surge up and unavailable down, and lets one Pod be missing where both are zero", () => {
    assert.deepEqual(paceOf(3, "25%", "25%"), { replicas: 3, maxSurge: 1, maxUnavailable: 0 });
    assert.deepEqual(paceOf(10, 0, "5%"), { replicas: 10, maxSurge: 0, maxUnavailable: 1 });
  });

  it("never grows beyond the surge, nor takes away what must be available", () => {
    fc.assert(
      fc.property(pace, part, fc.array(part, { maxLength: 4 }), (limits, fresh, olds) => {
        const before = olds.reduce((sum, { wanted }) => sum + wanted, 0);
        const up = rollUp(limits, fresh, olds);
        if (up > fresh.wanted) assert.ok(up + before <= limits.replicas + limits.maxSurge);
        const sizes = rollDown(limits, fresh, olds);
        const available = (list: readonly number[]): number =>
          fresh.available +
          olds.reduce((sum, old, i) => sum + Math.min(list[i] ?? 0, old.available), 0);
        const least = Math.min(
          available(olds.map(({ wanted }) => wanted)),
          limits.replicas - limits.maxUnavailable,
        );
        assert.ok(available(sizes) >= least, JSON.stringify({ limits, fresh, olds, sizes }));
        for (const [i, size] of sizes.entries())
          assert.ok(size >= 0 && size <= (olds[i]?.wanted ?? 0));
      }),
    );
  });

  it("comes to its end when every Pod that is made becomes available", () => {
    fc.assert(
      fc.property(pace, fc.nat(20), (limits, old) => {
        let fresh = 0;
        let left = old;
        for (let step = 0; step < 200 && (fresh !== limits.replicas || left > 0); step++) {
          const parts = [{ wanted: left, available: left }];
          const up = rollUp(limits, { wanted: fresh, available: fresh }, parts);
          if (up === fresh)
            left = rollDown(limits, { wanted: fresh, available: fresh }, parts)[0] ?? 0;
          fresh = up;
        }
        assert.deepEqual([fresh, left], [limits.replicas, 0]);
      }),
    );
  });

  it("shares a new size in proportion", () => {
    const share = (wanted: number, total: number) => ({ wanted, total });
    const to = (replicas: number) => ({ replicas, maxSurge: 0, maxUnavailable: 1 });
    const shares = [share(8, 10), share(2, 10)];
    assert.deepEqual(scaleProportionally(to(20), shares, 10), [16, 4]);
    assert.deepEqual(scaleProportionally(to(5), shares, 10), [4, 1]);
    assert.deepEqual(scaleProportionally(to(0), shares, 10), [0, 0]);
    // Three of one size: the newest gets what is left over, the oldest loses it.
    const even = [share(5, 15), share(5, 15), share(5, 15)];
    assert.deepEqual(scaleProportionally(to(16), even, 15), [5, 5, 6]);
    assert.deepEqual(scaleProportionally(to(14), even, 15), [4, 5, 5]);
  });

  it("shares every change of size to the last Pod, and never below zero", () => {
    const shares = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 30 }), fc.option(fc.nat(60))).map(([wanted, total]) => ({
        wanted,
        total: total ?? undefined,
      })),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(pace, shares, fc.nat(60), (limits, given, before) => {
        const sizes = scaleProportionally(limits, given, before);
        const total = sizes.reduce((a, b) => a + b, 0);
        assert.ok(sizes.every((size) => size >= 0));
        const allowed = limits.replicas === 0 ? 0 : limits.replicas + limits.maxSurge;
        assert.ok(total === allowed || total >= allowed, String(total));
      }),
    );
  });
});
