import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelValueProblems, qualifiedNameProblems } from "./label-names.ts";

describe("qualifiedNameProblems()", () => {
  for (const key of ["a", "A.b_c-9", "example.com/a", "0", "a".repeat(63)]) {
    it(`accepts ${key}`, () => {
      assert.deepEqual(qualifiedNameProblems(key), []);
    });
  }

  const REFUSED: readonly (readonly [string, RegExp, number])[] = [
    ["", /^name part must be non-empty$/, 2],
    ["/a", /^prefix part must be non-empty$/, 1],
    ["a/", /^name part must be non-empty$/, 2],
    ["a/b/c", /^a qualified name must consist of .* with an optional DNS subdomain prefix/, 1],
    ["Example.com/a", /^prefix part a lowercase RFC 1123 subdomain must consist of/, 1],
    [
      "-a",
      /^name part must consist of alphanumeric characters, '-', '_' or '\.', and must start/,
      1,
    ],
    ["a".repeat(64), /^name part must be no more than 63 characters$/, 1],
  ];
  for (const [key, first, count] of REFUSED) {
    it(`refuses ${JSON.stringify(key)}`, () => {
      const problems = qualifiedNameProblems(key);
      assert.match(problems[0] ?? "", first);
      assert.equal(problems.length, count);
    });
  }
});

describe("labelValueProblems()", () => {
  it("accepts the empty value and names", () => {
    for (const value of ["", "a", "A.b_c-9", "a".repeat(63)]) {
      assert.deepEqual(labelValueProblems(value), []);
    }
  });

  it("refuses what is too long or has other characters", () => {
    assert.deepEqual(labelValueProblems("a".repeat(64)), ["must be no more than 63 characters"]);
    for (const value of ["-a", "a-", "a b", "a/b"]) {
      assert.match(labelValueProblems(value).join(), /^a valid label must be an empty string or/);
    }
  });
});
