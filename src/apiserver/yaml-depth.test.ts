import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lexer, Parser } from "yaml";
import { MAX_YAML_TOKENS, excessOf } from "./yaml-depth.ts";

const excess = (text: string) => excessOf(text, new Lexer(), new Parser());
const lists = (depth: number, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);
const block = (depth: number) =>
  Array.from({ length: depth }, (_, i) => `${" ".repeat(i)}a:`).join("\n");

describe("excessOf()", () => {
  for (const [what, text, expected] of [
    ["an empty text", "", undefined],
    ["lists of 490 levels", lists(490), undefined],
    ["lists of 510 levels", lists(510), "depth"],
    ["lists that never end", "[".repeat(100_000), "depth"],
    ["maps of 490 levels", block(490), undefined],
    ["maps of 510 levels", block(510), "depth"],
    ["50 levels and an alias", `a: &a 1\nb: ${lists(50, "*a")}`, undefined],
    ["70 levels and an alias", `a: &a 1\nb: ${lists(70, "*a")}`, "depth"],
    ["brackets in a text", `a: "${"[".repeat(600)}"\nb: |\n  ${"{".repeat(600)}`, undefined],
    ["many items", "- a\n".repeat(1000), undefined],
    ["too many items", "- a\n".repeat(MAX_YAML_TOKENS), "tokens"],
    ["many commas", `a: [${",".repeat(MAX_YAML_TOKENS)}`, "tokens"],
    ["a long text", `a: |\n  ${"[".repeat(100_000)}`, undefined],
  ] as const) {
    it(`says ${String(expected)} of ${what}`, () => assert.equal(excess(text), expected));
  }
});
