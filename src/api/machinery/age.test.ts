import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatAge } from "./age.ts";

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const Y = 365 * D;

const CASES: readonly (readonly [number, string])[] = [
  [-2 * S, "<invalid>"],
  [-1 * S, "0s"],
  [0, "0s"],
  [5 * S + 999, "5s"],
  [119 * S, "119s"],
  [2 * M, "2m"],
  [3 * M + 20 * S, "3m20s"],
  [9 * M + 59 * S, "9m59s"],
  [10 * M + 30 * S, "10m"],
  [179 * M, "179m"],
  [3 * H, "3h"],
  [5 * H + 2 * M, "5h2m"],
  [8 * H + 30 * M, "8h"],
  [26 * H, "26h"],
  [2 * D, "2d"],
  [2 * D + 3 * H, "2d3h"],
  [8 * D + 5 * H, "8d"],
  [12 * D, "12d"],
  [729 * D, "729d"],
  [2 * Y + 10 * D, "2y10d"],
  [3 * Y + 5 * H, "3y"],
  [9 * Y + 40 * D, "9y"],
  [Number.NaN, "<invalid>"],
];

describe("formatAge()", () => {
  for (const [durationMs, text] of CASES) {
    it(`prints ${String(durationMs)} ms as ${text}`, () => {
      assert.equal(formatAge(durationMs), text);
    });
  }
});
