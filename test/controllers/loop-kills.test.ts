import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runKills } from "./loop-kills.ts";

/** Numbers of a fixed course in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("the loops of endpoints, killed", () => {
  it("EPS-017, EPS-012, EP-014, MIRR-011: leave nothing double, stale or orphaned once they run again", async () => {
    const report = await runKills(4, seeded(7), () => undefined);
    assert.equal(report.kills, 4);
    assert.ok(report.loopWrites > 4);
  });
});
