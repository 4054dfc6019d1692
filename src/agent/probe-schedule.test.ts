import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { afterAnswer, initialProbeState, probeTiming } from "./probe-schedule.ts";
import type { ProbeState } from "./probe-schedule.ts";

const TIMING = probeTiming({ periodSeconds: 1, failureThreshold: 2, successThreshold: 1 });

/** Feeds answers: `+` success, `-` failure. */
function feed(
  first: ProbeState,
  answers: string,
  timing = TIMING,
): readonly { verdict: string; delayMs: number; isCounted: boolean }[] {
  let state = first;
  return answers.split("").map((answer) => {
    const outcome =
      answer === "+" ? ({ kind: "success" } as const) : ({ kind: "failure", message: "" } as const);
    const next = afterAnswer(state, outcome, timing);
    state = next.state;
    return {
      verdict: state.verdict,
      delayMs: Math.round(next.delayMs),
      isCounted: next.isCounted,
    };
  });
}

function verdicts(first: ProbeState, answers: string, timing = TIMING): readonly string[] {
  return feed(first, answers, timing).map(({ verdict }) => verdict);
}

describe("probeTiming()", () => {
  it("has the API's defaults, also for zero", () => {
    const defaults = {
      initialDelayMs: 0,
      periodMs: 10_000,
      timeoutMs: 1_000,
      successThreshold: 1,
      failureThreshold: 3,
    };
    assert.deepEqual(probeTiming({}), defaults);
    assert.deepEqual(probeTiming({ periodSeconds: 0, failureThreshold: 0 }), defaults);
  });
});

describe("afterAnswer()", () => {
  it("passes at the first success when one is enough, and fails after the threshold", () => {
    assert.deepEqual(verdicts(initialProbeState("unknown"), "+-+--+"), [
      "passing",
      "passing",
      "passing",
      "passing",
      "failing",
      "passing",
    ]);
  });

  it("asks quickly until the first success, then once a period", () => {
    const delays = feed(initialProbeState("unknown"), "---+-").map(({ delayMs }) => delayMs);
    assert.deepEqual(delays, [50, 75, 113, 1000, 1000]);
  });

  it("counts one failure a period in the quick phase, so that the threshold means time", () => {
    const fed = feed(initialProbeState("unknown"), "-".repeat(12));
    const failingAt = fed.findIndex(({ verdict }) => verdict === "failing");
    const elapsedMs = fed.slice(0, failingAt).reduce((sum, { delayMs }) => sum + delayMs, 0);
    assert.ok(elapsedMs >= TIMING.periodMs, `failing after ${String(elapsedMs)} ms`);
    const counted = fed.slice(0, failingAt + 1).filter(({ isCounted }) => isCounted).length;
    assert.equal(counted, TIMING.failureThreshold);
  });

  it("wants as many successes in a row as asked", () => {
    const timing = { ...TIMING, successThreshold: 2 };
    assert.deepEqual(verdicts(initialProbeState("failing"), "+-++", timing), [
      "failing",
      "failing",
      "failing",
      "passing",
    ]);
  });

  it("is never quick for a container that is taken for alive", () => {
    assert.deepEqual(
      feed(initialProbeState("passing"), "--").map(({ delayMs }) => delayMs),
      [1000, 1000],
    );
    assert.deepEqual(verdicts(initialProbeState("passing"), "--"), ["passing", "failing"]);
  });
});
