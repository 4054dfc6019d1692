import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseNamePattern } from "./name-pattern.ts";

function exec(source: string, text: string): readonly (string | undefined)[] | undefined {
  const pattern = parseNamePattern(source);
  assert.ok("exec" in pattern, source);
  return pattern.exec(text)?.groups;
}

/** Patterns whose meaning is the same in JavaScript. */
const atom = fc.constantFrom("a", "b", ".", "[^.]", "\\.", "(a|ab)", "(?:b|a)", "(a*)", "(b?)");
const piece = fc
  .tuple(atom, fc.constantFrom("", "", "+", "*", "?", "{1,2}", "+?", "*?", "{0,3}?"))
  .map(([one, times]) => `${one}${times}`);
const pattern = fc
  .tuple(fc.constantFrom("", "^"), fc.array(piece, { maxLength: 5 }), fc.constantFrom("", "$"))
  .map(([start, pieces, end]) => `${start}${pieces.join("")}${end}`);

describe("parseNamePattern()", () => {
  it("finds what JavaScript's engine finds, and where", () => {
    fc.assert(
      fc.property(pattern, fc.stringMatching(/^[ab.c]{0,10}$/), (source, text) => {
        const parsed = parseNamePattern(source);
        assert.ok("exec" in parsed);
        const found = parsed.exec(text);
        const expected = new RegExp(source).exec(text);
        assert.equal(found?.groups[0], expected?.[0]);
        assert.equal(found?.start, expected?.index);
        // Of a group in a repetition JavaScript forgets what an earlier turn matched; Go does not.
        if (/\)[*+?{]/.test(source)) return;
        assert.deepEqual(found?.groups, expected === null ? undefined : [...expected]);
      }),
      { numRuns: 5000 },
    );
  });

  it("gives groups by number and by name, and undefined for one that took no part", () => {
    const parsed = parseNamePattern("^(?P<host>[^.]+)[.](?:(x)|(?<rest>.*))$");
    assert.ok("exec" in parsed);
    assert.deepEqual(parsed.exec("web.corp")?.groups, ["web.corp", "web", undefined, "corp"]);
    assert.deepEqual(
      [...parsed.groupNames],
      [
        ["host", 1],
        ["rest", 3],
      ],
    );
    assert.equal(parsed.groups, 3);
  });

  it("RE2: has flags, ungreedy ones too", () => {
    assert.deepEqual(exec("(?i)^WEB[.](.*)$", "web.corp"), ["web.corp", "corp"]);
    assert.deepEqual(exec("(?U)a+", "aaa"), ["a"]);
  });

  it("takes time in proportion to the text where a backtracking engine takes all", () => {
    assert.equal(exec("^(a+)+$", `${"a".repeat(1000)}b`), undefined);
    assert.equal(exec("^(.*)(.*)(.*)(.*)(.*)x$", "a".repeat(1000)), undefined);
  });

  for (const [source, problem] of [
    ["(", /missing closing \)/],
    ["a(?=b)", /invalid or unsupported Perl syntax/],
    ["(a)\\1", /invalid escape sequence/],
    ["((a{100}){100})", /too large/],
  ] as const) {
    it(`says what is wrong with ${source}`, () => {
      const parsed = parseNamePattern(source);
      assert.match("problem" in parsed ? parsed.problem : "nothing", problem);
    });
  }
});
