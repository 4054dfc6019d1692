import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compilePattern, tryPattern } from "./pattern.ts";

const ENOUGH = 1_000_000;

function matches(pattern: string, text: string): boolean | undefined {
  return compilePattern(pattern).test(text, { left: ENOUGH });
}

describe("compilePattern()", () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["^a+$", ["a", "aaa"], ["", "b", "ab"]],
    ["b", ["abc"], ["ac"]],
    ["", ["", "x"], []],
    ["^(a|bc)*$", ["", "abcbca"], ["abb"]],
    ["^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]],
    ["^a{2,}?$", ["aa", "aaaaa"], ["a"]],
    ["^[a-c^\\]-]+$", ["a^]-"], ["d"]],
    ["^[^a-c]$", ["d", "\n"], ["a"]],
    ["^[]a]+$", ["]a"], ["b"]],
    ["^.$", ["x", "é", "😀"], ["", "\n", "xy"]],
    ["(?s)^.$", ["\n"], [""]],
    ["(?m)^b$", ["a\nb\nc"], ["ab"]],
    ["(?i)^straße$", ["STRAßE"], ["strasse"]],
    ["^(?i:A)b$", ["ab", "Ab"], ["aB"]],
    ["^\\d\\w\\s\\D\\W\\S$", ["1_ a-b"], ["a_ a-b"]],
    ["\\bfoo\\b", ["a foo b"], ["food"]],
    ["\\Afoo\\z", ["foo"], ["foo\n"]],
    ["^[[:alpha:]]+[[:^digit:]]$", ["ab"], ["a1"]],
    ["^\\pL\\p{Greek}\\P{Lu}$", ["aλa"], ["aAa", "aλA"]],
    ["^\\x41\\x{1F600}\\101\\.\\Q.*\\E$", ["A😀A..*"], ["A😀AxB"]],
    ["^(?P<name>a)(?<other>b)$", ["ab"], ["a"]],
    ["^a{,2}$", ["a{,2}"], ["aa"]],
    [
      "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
      ["*.a-b.c"],
      ["-a"],
    ],
  ];
  for (const [pattern, good, bad] of cases) {
    it(`reads ${pattern} as RE2 does`, () => {
      for (const text of good) assert.equal(matches(pattern, text), true, text);
      for (const text of bad) assert.equal(matches(pattern, text), false, text);
    });
  }

  it("agrees with the engine of the language on what both understand", () => {
    const atom = fc.constantFrom("a", "b", "[ab]", "[^a]", ".", "(a|bb)", "(ab)", "\\w", "(b*)");
    const piece = fc
      .tuple(atom, fc.constantFrom("", "*", "+", "?", "{2}", "{1,2}"))
      .map((parts) => parts.join(""));
    const pattern = fc
      .tuple(fc.constantFrom("", "^"), fc.array(piece, { maxLength: 5 }), fc.constantFrom("", "$"))
      .map(([head, pieces, tail]) => head + pieces.join("") + tail);
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (source, input) => {
        assert.equal(matches(source, input), new RegExp(source).test(input));
      }),
      { numRuns: 500 },
    );
  });

  it("takes steps in proportion to the text for patterns that backtracking never finishes", () => {
    for (const pattern of ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$", "(x+x+)+y"]) {
      const compiled = compilePattern(pattern);
      const cost = (length: number) => {
        const budget = { left: 1e9 };
        assert.equal(compiled.test(`${"a".repeat(length)}!`, budget), false);
        return 1e9 - budget.left;
      };
      const ratio = cost(4000) / cost(1000);
      assert.ok(
        ratio < 4.5,
        `${pattern}: four times the text took ${String(ratio)} times the steps`,
      );
    }
  });

  it("gives up when the budget does not suffice", () => {
    assert.equal(compilePattern("^(.*a){50}$").test("a".repeat(10_000), { left: 1000 }), undefined);
  });
});

describe("tryPattern()", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["(?=a)", /invalid or unsupported Perl syntax: `\(\?=`/],
    ["(a)\\1", /invalid escape sequence: `\\1`/],
    ["[a", /missing closing \]/],
    ["(a", /missing closing \)/],
    ["a)", /unexpected \)/],
    ["*a", /missing argument to repetition operator: `\*`/],
    ["a**", /invalid nested repetition operator/],
    ["a{1001}", /invalid repeat count: `\{1001\}`/],
    ["[b-a]", /invalid character class range: `b-a`/],
    ["\\p{Nope}", /invalid character class range/],
    ["a\\", /trailing backslash/],
    ["((a{1000}){1000})", /expression too large/],
    ["(".repeat(1000), /nests too deeply/],
    ["(a|b)*".repeat(100_000), /expression too large/],
    ["{".repeat(10_001), /expression too large/],
  ];
  for (const [pattern, problem] of cases) {
    it(`refuses ${pattern.slice(0, 20)}`, () => {
      const tried = tryPattern(pattern);
      assert.ok(tried.kind === "unusable");
      assert.match(tried.problem, problem);
    });
  }

  it("is done with repetitions of nothing at once", () => {
    assert.deepEqual(tryPattern("((((){1000}){1000}){1000})"), { kind: "compiled", size: 1 });
  });

  it("says something of any text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void tryPattern(text)));
  });
});
