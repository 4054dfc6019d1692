import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { labelValueProblems, qualifiedNameProblems } from "./label-names.ts";
import { labelRequirementsOf, matchesLabelMap, matchesLabels } from "./label-selector.ts";
import type { LabelRequirement } from "./label-selector.ts";
import { parseLabelSelector } from "./label-selector-text.ts";

const PARSED: readonly (readonly [string, readonly LabelRequirement[]])[] = [
  ["", []],
  ["  ", []],
  ["a=b", [{ key: "a", operator: "In", values: ["b"] }]],
  ["a==b", [{ key: "a", operator: "In", values: ["b"] }]],
  ["a!=b", [{ key: "a", operator: "NotIn", values: ["b"] }]],
  ["a=", [{ key: "a", operator: "In", values: [""] }]],
  [
    "a!=,b",
    [
      { key: "a", operator: "NotIn", values: [""] },
      { key: "b", operator: "Exists", values: [] },
    ],
  ],
  ["!a", [{ key: "a", operator: "DoesNotExist", values: [] }]],
  [" x in ( b , a,b ) ", [{ key: "x", operator: "In", values: ["a", "b"] }]],
  ["x notin (a)", [{ key: "x", operator: "NotIn", values: ["a"] }]],
  ["x in (,a)", [{ key: "x", operator: "In", values: ["", "a"] }]],
  ["x in (a,)", [{ key: "x", operator: "In", values: ["", "a"] }]],
  ["in=notin", [{ key: "in", operator: "In", values: ["notin"] }]],
  ["x in (in)", [{ key: "x", operator: "In", values: ["in"] }]],
  [
    "x>1,y < 5",
    [
      { key: "x", operator: "Gt", values: ["1"] },
      { key: "y", operator: "Lt", values: ["5"] },
    ],
  ],
  [
    "app.kubernetes.io/name=web,tier in (front)",
    [
      { key: "app.kubernetes.io/name", operator: "In", values: ["web"] },
      { key: "tier", operator: "In", values: ["front"] },
    ],
  ],
];

const MALFORMED: readonly (readonly [string, string])[] = [
  ["a,", "found '', expected: identifier after ','"],
  ["a,=b", "found '=', expected: identifier after ','"],
  ["=a", "found '=', expected: !, identifier, or 'end of string'"],
  ["!", "found '', expected: identifier"],
  ["!a=b", "found '=', expected: ',' or 'end of string'"],
  ["a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ["a=b c", "found 'c', expected: ',' or 'end of string'"],
  ["a in b", "found 'b', expected: '('"],
  ["a in (b", "found '', expected: ',' or ')'"],
  ["a in ()", "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"],
  ["a=(b)", "found '(', expected: identifier"],
  ["constructor constructor", "found 'constructor', expected: in, notin, =, ==, !=, gt, lt"],
  ["a>b", `values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer`],
  ["a/b/c=d", `key: Invalid value: "a/b/c": ${qualifiedNameProblems("a/b/c").join("; ")}`],
  ["a in (b,-c)", `values[0][a]: Invalid value: "-c": ${labelValueProblems("-c").join("; ")}`],
];

describe("parseLabelSelector()", () => {
  for (const [text, requirements] of PARSED) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseLabelSelector(text), { kind: "parsed", requirements });
    });
  }

  for (const [text, message] of MALFORMED) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseLabelSelector(text), {
        kind: "malformed",
        message: `unable to parse requirement: ${message}`,
      });
    });
  }

  it("never throws, whatever the text", () => {
    const tokens = fc.constantFrom("a", "b", " ", "=", "!", "in", "notin", "(", ")", ",", "<", "-");
    fc.assert(
      fc.property(fc.array(tokens), (parts) => {
        parseLabelSelector(parts.join(""));
      }),
    );
  });
});

describe("matchesLabels()", () => {
  const labels = { app: "web", n: "5", empty: "" };
  const MATCHES: readonly (readonly [string, boolean])[] = [
    ["", true],
    ["app=web", true],
    ["app=db", false],
    ["app!=db", true],
    ["app!=web", false],
    ["missing!=x", true],
    ["missing=", false],
    ["empty=", true],
    ["app in (db,web)", true],
    ["app notin (db,web)", false],
    ["missing notin (x)", true],
    ["app", true],
    ["!app", false],
    ["!missing", true],
    ["constructor", false],
    ["n>4", true],
    ["n>5", false],
    ["n<6", true],
    ["app>1", false],
    ["app=web,n=6", false],
  ];
  for (const [text, expected] of MATCHES) {
    it(`says ${String(expected)} for ${JSON.stringify(text)}`, () => {
      const parsed = parseLabelSelector(text);
      assert.equal(parsed.kind, "parsed");
      assert.equal(
        parsed.kind === "parsed" && matchesLabels(parsed.requirements, labels),
        expected,
      );
    });
  }

  it("takes absent labels for none", () => {
    assert.equal(matchesLabels([{ key: "a", operator: "Exists", values: [] }], undefined), false);
  });
});

describe("labelRequirementsOf()", () => {
  it("joins labels and expressions", () => {
    const selector = {
      matchLabels: { a: "b" },
      matchExpressions: [{ key: "c", operator: "Exists" }],
    };
    assert.deepEqual(labelRequirementsOf(selector), {
      kind: "parsed",
      requirements: [
        { key: "a", operator: "In", values: ["b"] },
        { key: "c", operator: "Exists", values: [] },
      ],
    });
  });

  it("selects everything when empty", () => {
    assert.deepEqual(labelRequirementsOf({}), { kind: "parsed", requirements: [] });
  });

  it("refuses an operator that only texts have", () => {
    assert.deepEqual(labelRequirementsOf({ matchExpressions: [{ key: "c", operator: "Gt" }] }), {
      kind: "malformed",
      message: '"Gt" is not a valid label selector operator',
    });
  });
});

describe("matchesLabelMap()", () => {
  it("agrees with the same selector as text", () => {
    const small = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("x", "y", ""));
    fc.assert(
      fc.property(small, small, (selector, labels) => {
        const text = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
        const parsed = parseLabelSelector(text.join(","));
        assert.equal(parsed.kind, "parsed");
        const requirements = parsed.kind === "parsed" ? parsed.requirements : [];
        assert.equal(matchesLabelMap(selector, labels), matchesLabels(requirements, labels));
      }),
    );
  });
});
