import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { expandVariables } from "./expansion.ts";

const VALUES: Readonly<Record<string, string>> = { A: "a", B_1: "$(A)", EMPTY: "" };

const CASES: readonly (readonly [text: string, expanded: string])[] = [
  ["plain", "plain"],
  ["$(A)", "a"],
  ["x$(A)y$(A)", "xaya"],
  ["$(EMPTY)", ""],
  ["$(B_1)", "$(A)"],
  ["$(NONE)", "$(NONE)"],
  ["$$(A)", "$(A)"],
  ["$$$(A)", "$a"],
  ["$$", "$"],
  ["$", "$"],
  ["$(A", "$(A"],
  ["$A", "$A"],
  ["${A}", "${A}"],
  ["$()", "$()"],
];

describe("expandVariables()", () => {
  for (const [text, expanded] of CASES)
    it(`makes ${JSON.stringify(text)} ${JSON.stringify(expanded)}`, () => {
      assert.equal(
        expandVariables(text, (name) => VALUES[name]),
        expanded,
      );
    });
});
