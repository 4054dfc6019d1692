import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lexer, Parser } from "yaml";
import { nestsTooDeep } from "./yaml-depth.ts";

const tooDeep = (text: string) => nestsTooDeep(text, new Lexer(), new Parser());
const lists = (depth: number, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);
const block = (depth: number) =>
  Array.from({ length: depth }, (_, i) => `${" ".repeat(i)}a:`).join("\n");

describe("nestsTooDeep()", () => {
  for (const [what, text, expected] of [
    ["an empty text", "", false],
    ["lists of 490 levels", lists(490), false],
    ["lists of 510 levels", lists(510), true],
    ["lists that never end", "[".repeat(100_000), true],
    ["maps of 490 levels", block(490), false],
    ["maps of 510 levels", block(510), true],
    ["50 levels and an alias", `a: &a 1\nb: ${lists(50, "*a")}`, false],
    ["70 levels and an alias", `a: &a 1\nb: ${lists(70, "*a")}`, true],
    ["brackets in a text", `a: "${"[".repeat(600)}"\nb: |\n  ${"{".repeat(600)}`, false],
    ["many items", "- a\n".repeat(1000), false],
  ] as const) {
    it(`says ${String(expected)} of ${what}`, () => assert.equal(tooDeep(text), expected));
  }
});
