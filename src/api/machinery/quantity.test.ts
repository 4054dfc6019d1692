import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareQuantities, parseQuantity } from "./quantity.ts";

const CANONICAL: readonly (readonly [string, string])[] = [
  ["0", "0"],
  ["-0", "0"],
  ["0Gi", "0"],
  ["1", "1"],
  ["+1", "1"],
  ["-1", "-1"],
  ["007", "7"],
  [".5", "500m"],
  ["1.", "1"],
  ["0.5", "500m"],
  ["1.5", "1500m"],
  ["1000m", "1"],
  ["100m", "100m"],
  ["1000", "1k"],
  ["1500k", "1500k"],
  ["1000k", "1M"],
  ["1Gi", "1Gi"],
  ["1.5Gi", "1536Mi"],
  ["1024Ki", "1Mi"],
  ["1000Ki", "1000Ki"],
  ["0.5Ki", "512"],
  ["1e3", "1e3"],
  ["12E6", "12e6"],
  ["1e-3", "1e-3"],
  ["5e0", "5"],
  ["0.1n", "1n"],
  ["1e-400", "1e-9"],
  ["9223372036854775807", "9223372036854775807"],
  ["9223372036854775808", "9223372036854775807"],
  ["1e999999999", "9223372036854775807"],
];

const MALFORMED = [
  "",
  " 1",
  "1 ",
  "abc",
  ".",
  "-",
  "1.2.3",
  "1kk",
  "1ki",
  "1K",
  "e3",
  "1e",
  "1Ei3",
];

describe("parseQuantity()", () => {
  for (const [text, canonical] of CANONICAL) {
    it(`writes ${text} as ${canonical}`, () => {
      assert.deepEqual(parseQuantity(text), { kind: "parsed", canonical });
    });
  }

  for (const text of MALFORMED) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(parseQuantity(text).kind, "malformed");
    });
  }

  it("refuses endless digits at once", () => {
    assert.equal(parseQuantity("9".repeat(1_000_000)).kind, "malformed");
  });

  it("leaves a canonical text as it is", () => {
    const suffix = fc.constantFrom(
      "n",
      "u",
      "m",
      "",
      "k",
      "M",
      "Ki",
      "Mi",
      "Gi",
      "e3",
      "e-3",
      "e6",
    );
    fc.assert(
      fc.property(fc.integer({ min: -5000, max: 5000 }), suffix, (n, s) => {
        const once = parseQuantity(`${String(n)}${s}`);
        assert.equal(once.kind, "parsed");
        assert.deepEqual(parseQuantity(once.kind === "parsed" ? once.canonical : ""), once);
      }),
    );
  });
});

describe("compareQuantities()", () => {
  const ORDERED: readonly (readonly [string | number, string | number, number | undefined])[] = [
    ["1", "1000m", 0],
    ["1Ki", "1k", 1],
    ["999m", 1, -1],
    ["-1", "-2", 1],
    ["0", "-0", 0],
    ["x", "1", undefined],
  ];
  for (const [a, b, expected] of ORDERED) {
    it(`says ${String(expected)} for ${String(a)} and ${String(b)}`, () => {
      assert.equal(compareQuantities(a, b), expected);
    });
  }
});
