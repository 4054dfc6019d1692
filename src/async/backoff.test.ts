import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { backoff } from "./backoff.ts";

describe("backoff()", () => {
  it("doubles up to its bound", () => {
    const delays = [0, 1, 2, 3, 4, 2000].map((n) =>
      backoff(n, { baseMs: 10, maxMs: 100 }, () => 1),
    );
    assert.deepEqual(delays, [10, 20, 40, 80, 100, 100]);
  });

  it("is always between half of the whole delay and the whole", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(3000), random, (attempt, part) => {
        const whole = backoff(attempt, { baseMs: 5, maxMs: 1000 }, () => 1);
        const delay = backoff(attempt, { baseMs: 5, maxMs: 1000 }, () => part);
        assert.ok(delay >= whole / 2 && delay <= whole);
      }),
    );
  });
});
