import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { validateCustomValue } from "./custom-value.validation.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { structuralOf } from "./structural.ts";

function problems(schema: JsonSchemaProps, value: unknown, old?: unknown): readonly string[] {
  const root = structuralOf({ type: "object", properties: { spec: schema } });
  const before = old === undefined ? {} : { old: { spec: old } };
  return validateCustomValue(root, { spec: value }, before).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

describe("validateCustomValue()", () => {
  const cases: readonly (readonly [JsonSchemaProps, unknown, readonly string[]])[] = [
    [{ type: "integer" }, 3, []],
    [
      { type: "integer" },
      "string",
      ['spec: Invalid value: "string": spec in body must be of type integer: "string"'],
    ],
    [
      { type: "integer" },
      1.5,
      ['spec: Invalid value: "number": spec in body must be of type integer: "number"'],
    ],
    [{ type: "number" }, 3, []],
    [
      { type: "string" },
      [],
      ['spec: Invalid value: "array": spec in body must be of type string: "array"'],
    ],
    [{ type: "string", nullable: true }, null, []],
    [
      { "x-kubernetes-int-or-string": true },
      true,
      ['spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean"'],
    ],
    [{ "x-kubernetes-preserve-unknown-fields": true }, [1], []],
    [
      { type: "integer", minimum: 1, maximum: 3 },
      0,
      ["spec: Invalid value: 0: spec in body should be greater than or equal to 1"],
    ],
    [
      { type: "integer", minimum: 1, maximum: 3 },
      4,
      ["spec: Invalid value: 4: spec in body should be less than or equal to 3"],
    ],
    [
      { type: "number", minimum: 1, exclusiveMinimum: true },
      1,
      ["spec: Invalid value: 1: spec in body should be greater than 1"],
    ],
    [
      { type: "number", maximum: 1, exclusiveMaximum: true },
      1,
      ["spec: Invalid value: 1: spec in body should be less than 1"],
    ],
    [
      { type: "integer", multipleOf: 5 },
      7,
      ["spec: Invalid value: 7: spec in body should be a multiple of 5"],
    ],
    [
      { type: "string", minLength: 2 },
      "😀",
      ['spec: Invalid value: "😀": spec in body should be at least 2 chars long'],
    ],
    [{ type: "string", maxLength: 1 }, "😀", []],
    [{ type: "string", maxLength: 1 }, "ab", ["spec: Too long: may not be more than 1 bytes"]],
    [
      { type: "string", pattern: "^a+$" },
      "b",
      ["spec: Invalid value: \"b\": spec in body should match '^a+$'"],
    ],
    [
      { type: "string", format: "ipv4" },
      "::1",
      ['spec: Invalid value: "::1": spec in body must be of type ipv4: "::1"'],
    ],
    [{ type: "string", format: "nobody-knows" }, "x", []],
    [
      { type: "string", enum: ["a", "b"] },
      "c",
      ['spec: Unsupported value: "c": supported values: "a", "b"'],
    ],
    [
      { type: "array", items: { type: "string" }, minItems: 2, maxItems: 3 },
      ["a"],
      ['spec: Invalid value: []string{"a"}: spec in body should have at least 2 items'],
    ],
    [
      { type: "array", items: { type: "string" }, maxItems: 1 },
      ["a", 1],
      [
        "spec: Too many: 2: must have at most 1 items",
        'spec[1]: Invalid value: "integer": spec[1] in body must be of type string: "integer"',
      ],
    ],
    [
      { type: "object", required: ["a", "b"], properties: { a: { type: "string" } } },
      { a: "x" },
      ["spec.b: Required value"],
    ],
    [
      { type: "object", additionalProperties: { type: "string" }, maxProperties: 1 },
      { a: "x", b: 1 },
      [
        "spec: Too many: 2: must have at most 1 items",
        'spec.b: Invalid value: "integer": spec.b in body must be of type string: "integer"',
      ],
    ],
    [
      { type: "object", additionalProperties: { type: "string" }, minProperties: 1 },
      {},
      ["spec: Invalid value: {}: spec in body should have at least 1 properties"],
    ],
    [
      { type: "integer", anyOf: [{ minimum: 5 }, { maximum: 1 }] },
      3,
      [
        '<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)',
        "spec: Invalid value: 3: spec in body should be greater than or equal to 5",
      ],
    ],
    [
      { type: "integer", oneOf: [{ minimum: 1 }, { minimum: 2 }] },
      3,
      [
        '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      ],
    ],
    [
      { type: "integer", allOf: [{ minimum: 1 }, { maximum: 2 }] },
      3,
      [
        "spec: Invalid value: 3: spec in body should be less than or equal to 2",
        '<nil>: Invalid value: "": "spec" must validate all the schemas (allOf)',
      ],
    ],
    [
      { type: "integer", not: { minimum: 1 } },
      3,
      ['<nil>: Invalid value: "": "spec" must not validate the schema (not)'],
    ],
    [
      { type: "array", "x-kubernetes-list-type": "set", items: { type: "integer" } },
      [1, 2, 1],
      ["spec[2]: Duplicate value: 1"],
    ],
    [
      {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: { type: "object", properties: { name: { type: "string" } } },
      },
      [{ name: "a" }, { name: "a", x: 1 }],
      ['spec[1]: Duplicate value: {"name":"a"}'],
    ],
  ];
  for (const [schema, value, expected] of cases) {
    it(`${JSON.stringify(value)} against ${JSON.stringify(schema).slice(0, 80)}`, () => {
      assert.deepEqual(problems(schema, value), expected);
    });
  }

  it("lets be what was there before, item by item in lists with keys", () => {
    const items = {
      type: "object",
      properties: { name: { type: "string" }, n: { type: "integer", maximum: 1 } },
    };
    const keyed = {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items,
    };
    const old = [{ name: "a", n: 9 }];
    assert.deepEqual(problems(keyed, [{ name: "b", n: 0 }, ...old], old), []);
    assert.deepEqual(problems(keyed, [{ name: "a", n: 8 }], old).length, 1);
    assert.deepEqual(problems({ type: "array", items }, [{ name: "b" }, ...old], old).length, 1);
  });

  it("stops after a hundred errors, and does not repeat huge values", () => {
    const list = Array.from({ length: 100_000 }, () => "x");
    const found = problems(
      { type: "array", minItems: 1_000_000, items: { type: "integer" } },
      list,
    );
    assert.equal(found.length, 100);
    assert.ok(found.join().length < 20_000);
  });

  it("gives up on objects that take too many steps", () => {
    const alternatives = Array.from({ length: 1000 }, (_, i) => ({
      pattern: `^(.*${String(i)}){9}$`,
    }));
    const schema = { type: "array", items: { type: "string", not: { allOf: alternatives } } };
    const list = Array.from({ length: 1000 }, () => "1".repeat(1000));
    assert.match(problems(schema, list).at(-1) ?? "", /validating it takes too many steps/);
  });

  it("accepts exactly the integers between the bounds", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer(), (minimum, maximum, value) => {
        const schema = { type: "integer", minimum, maximum };
        assert.equal(problems(schema, value).length === 0, minimum <= value && value <= maximum);
      }),
    );
  });
});
