import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fieldSelectorProblem, matchesFields, parseFieldSelector } from "./field-selector.ts";
import type { FieldRequirement } from "./field-selector.ts";
import type { KubernetesObject } from "./metadata.ts";

interface Thing extends KubernetesObject {
  readonly phase?: string;
}

const kind = {
  selectableFields: [{ path: "status.phase", value: (o: Thing): string => o.phase ?? "" }],
};
const plain = { selectableFields: [] };

const PARSED: readonly (readonly [string, readonly FieldRequirement[]])[] = [
  ["", []],
  ["metadata.name=x", [{ path: "metadata.name", operator: "=", value: "x" }]],
  ["a==b", [{ path: "a", operator: "=", value: "b" }]],
  [
    "a!=b,c=",
    [
      { path: "a", operator: "!=", value: "b" },
      { path: "c", operator: "=", value: "" },
    ],
  ],
  [",,a=b,", [{ path: "a", operator: "=", value: "b" }]],
  ["a=b\\,c\\=d\\\\", [{ path: "a", operator: "=", value: "b,c=d\\" }]],
];

const MALFORMED: readonly (readonly [string, string])[] = [
  ["a", "invalid selector: 'a'; can't understand 'a'"],
  ["a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"],
  ["a=b\\x", "invalid field selector: invalid escape sequence: \\x"],
  ["a=b=c", "invalid field selector: unescaped character in value: ="],
];

describe("parseFieldSelector()", () => {
  for (const [text, requirements] of PARSED) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseFieldSelector(text), { kind: "parsed", requirements });
    });
  }

  for (const [text, message] of MALFORMED) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseFieldSelector(text), { kind: "malformed", message });
    });
  }

  it("reads back every escaped value", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const escaped = value.replaceAll(/[\\,=]/g, "\\$&");
        assert.deepEqual(parseFieldSelector(`a!=${escaped},b=c`), {
          kind: "parsed",
          requirements: [
            { path: "a", operator: "!=", value },
            { path: "b", operator: "=", value: "c" },
          ],
        });
      }),
    );
  });
});

describe("fieldSelectorProblem()", () => {
  const of = (path: string): FieldRequirement[] => [{ path, operator: "=", value: "x" }];

  it("finds none for metadata and for declared fields", () => {
    assert.equal(fieldSelectorProblem(of("metadata.namespace"), plain), undefined);
    assert.equal(fieldSelectorProblem(of("status.phase"), kind), undefined);
  });

  it("SVC-023: names an unknown field, in upstream's words for kinds with fields and without", () => {
    assert.equal(fieldSelectorProblem(of("spec.foo"), kind), "field label not supported: spec.foo");
    assert.equal(
      fieldSelectorProblem(of("spec.foo"), plain),
      '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
  });
});

describe("matchesFields()", () => {
  const object = { apiVersion: "v1", kind: "Thing", metadata: { name: "x" }, phase: "Running" };
  const MATCHES: readonly (readonly [string, boolean])[] = [
    ["", true],
    ["metadata.name=x", true],
    ["metadata.name=y", false],
    ["metadata.namespace=", true],
    ["metadata.namespace!=kube-system", true],
    ["status.phase!=Running", false],
    ["status.phase=Running,metadata.name!=x", false],
  ];
  for (const [text, expected] of MATCHES) {
    it(`says ${String(expected)} for ${JSON.stringify(text)}`, () => {
      const parsed = parseFieldSelector(text);
      assert.equal(parsed.kind, "parsed");
      assert.equal(
        parsed.kind === "parsed" && matchesFields(parsed.requirements, kind, object),
        expected,
      );
    });
  }
});
