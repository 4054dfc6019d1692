import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffAfterExit, backoffAfterFailedStart } from "./restart.ts";
import type { RestartBackoff } from "./restart.ts";

describe("backoffAfterExit()", () => {
  it("is nothing, then 10 s doubling to 5 min", () => {
    let backoff: RestartBackoff | undefined;
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      backoff = backoffAfterExit(backoff, 0, 1000);
      assert.equal(backoff.untilMs, 1000 + backoff.delayMs);
      delays.push(backoff.delayMs / 1000);
    }
    assert.deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
  });

  it("starts over after a run of ten minutes", () => {
    const before = { delayMs: 160_000, untilMs: 0 };
    assert.equal(backoffAfterExit(before, 0, 600_000).delayMs, 0);
    assert.equal(backoffAfterExit(before, 0, 599_999).delayMs, 300_000);
  });
});

describe("backoffAfterFailedStart()", () => {
  it("doubles from 1 s to 1 min", () => {
    let backoff: RestartBackoff | undefined;
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      backoff = backoffAfterFailedStart(backoff, 0);
      delays.push(backoff.delayMs / 1000);
    }
    assert.deepEqual(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
  });
});
