import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { SortedKeys } from "./sorted-keys.ts";

/** Numbers as keys of one length, so that their order is that of the numbers. */
const keyOf = (n: number) => String(n).padStart(5, "0");

describe("SortedKeys", () => {
  it("gives what a sorted array gives, whatever comes and goes", () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 3000 })), {
      minLength: 200,
      maxLength: 4000,
      size: "max",
    });
    fc.assert(
      fc.property(steps, fc.nat({ max: 3000 }), (changes, start) => {
        const keys = new SortedKeys();
        const expected = new Set<string>();
        for (const [isThere, n] of changes) {
          const key = keyOf(n);
          if (!isThere) {
            keys.delete(key);
            expected.delete(key);
          } else if (!expected.has(key)) {
            keys.add(key);
            expected.add(key);
          }
        }
        const from = [...expected].filter((key) => key >= keyOf(start)).toSorted();
        assert.deepEqual([...keys.from(keyOf(start))], from);
        assert.deepEqual([...keys.from("")], [...expected].toSorted());
      }),
      { numRuns: 30 },
    );
  });

  it("takes keys that come in order, and in the opposite order", () => {
    const all = Array.from({ length: 5000 }, (_, n) => keyOf(n));
    for (const order of [all, all.toReversed()]) {
      const keys = new SortedKeys();
      for (const key of order) keys.add(key);
      assert.deepEqual([...keys.from("")], all);
      assert.deepEqual([...keys.from("02500x")], all.slice(2501));
      for (const key of order) keys.delete(key);
      assert.deepEqual([...keys.from("")], []);
    }
  });
});
