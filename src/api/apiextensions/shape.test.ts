import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { JsonObject } from "../machinery/json.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { shapeObject } from "./shape.ts";
import { structuralOf } from "./structural.ts";

const object = (
  properties: Readonly<Record<string, JsonSchemaProps>>,
  more: JsonSchemaProps = {},
) => ({ type: "object", properties, ...more }) satisfies JsonSchemaProps;

function shaped(schema: JsonSchemaProps, value: JsonObject) {
  const result = shapeObject(structuralOf(schema), value);
  assert.ok(result.kind === "decoded");
  return { object: result.object, unknown: result.unknownFields };
}

describe("shapeObject()", () => {
  it("prunes what is not declared, at any depth, and says so", () => {
    const schema = object({
      spec: object({ list: { type: "array", items: object({ a: { type: "string" } }) } }),
    });
    assert.deepEqual(shaped(schema, { spec: { list: [{ a: "1", b: 2 }], c: {} }, d: null }), {
      object: { spec: { list: [{ a: "1" }] } },
      unknown: ['unknown field "spec.list[0].b"', 'unknown field "spec.c"', 'unknown field "d"'],
    });
  });

  it("keeps apiVersion, kind and metadata, and of the metadata what every object may have", () => {
    const value = {
      apiVersion: "example.com/v1",
      kind: "A",
      metadata: { name: "a", nope: 1, labels: { x: "y" } },
    };
    assert.deepEqual(shaped(object({}), value), {
      object: { ...value, metadata: { name: "a", labels: { x: "y" } } },
      unknown: ['unknown field "metadata.nope"'],
    });
  });

  it("refuses metadata that is not metadata", () => {
    const result = shapeObject(structuralOf(object({})), { metadata: { labels: { a: 1 } } });
    assert.equal(result.kind, "malformed");
  });

  it("keeps unknown fields where the schema says so, but prunes below what is declared there", () => {
    const schema = object(
      { known: object({ a: { type: "integer" } }) },
      { "x-kubernetes-preserve-unknown-fields": true },
    );
    assert.deepEqual(shaped(schema, { free: { x: [{}] }, known: { a: 1, b: 2 } }), {
      object: { free: { x: [{}] }, known: { a: 1 } },
      unknown: ['unknown field "known.b"'],
    });
  });

  it("fills in defaults, also inside of defaults and items, but not where something stands", () => {
    const schema = object({
      a: { type: "string", default: "x" },
      deep: object({ b: { type: "integer", default: 2 } }, { default: {} }),
      absent: object({ b: { type: "integer", default: 2 } }),
      list: { type: "array", items: object({ c: { type: "boolean", default: false } }) },
      map: { type: "object", additionalProperties: object({ d: { type: "string", default: "" } }) },
    });
    assert.deepEqual(shaped(schema, { list: [{}, { c: true }], map: { k: {} } }).object, {
      a: "x",
      deep: { b: 2 },
      list: [{ c: false }, { c: true }],
      map: { k: { d: "" } },
    });
    assert.equal(shaped(schema, { a: "" }).object["a"], "");
  });

  it("drops nulls that are not allowed, keeps those that are, and puts defaults in their place", () => {
    const schema = object({
      withDefault: { type: "string", default: "x" },
      nullable: { type: "string", nullable: true, default: "x" },
      plain: { type: "string" },
    });
    const value = { withDefault: null, nullable: null, plain: null };
    assert.deepEqual(shaped(schema, value).object, { withDefault: "x", nullable: null });
  });

  it("treats an embedded object as one of the API", () => {
    const template = object({}, { "x-kubernetes-embedded-resource": true });
    const value = {
      template: { apiVersion: "v1", kind: "Pod", metadata: { name: "a", x: 1 }, spec: {} },
    };
    assert.deepEqual(shaped(object({ template }), value), {
      object: { template: { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } } },
      unknown: ['unknown field "template.spec"', 'unknown field "template.metadata.x"'],
    });
  });

  it("refuses an object that defaults would blow up", () => {
    const schema = object({
      list: {
        type: "array",
        items: object({ a: { type: "string", default: "x".repeat(100_000) } }),
      },
    });
    const list = Array.from({ length: 1000 }, () => ({}));
    const result = shapeObject(structuralOf(schema), { list });
    assert.ok(result.kind === "malformed");
    assert.match(result.message, /defaults of the kind would add more than/);
  });

  it("is safe for properties that objects have by themselves", () => {
    const value = JSON.parse('{"__proto__":{"a":1},"constructor":1}') as JsonObject;
    const kept = shaped(object({}, { "x-kubernetes-preserve-unknown-fields": true }), value);
    assert.deepEqual(JSON.stringify(kept.object), JSON.stringify(value));
    assert.deepEqual(shaped(object({}), value).object, {});
  });

  const names = fc.constantFrom("a", "b", "c");
  const { schema } = fc.letrec<{ schema: JsonSchemaProps; value: unknown }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 4 },
      fc.record({ type: fc.constant("string"), nullable: fc.boolean() }),
      fc.record({ type: fc.constant("integer"), default: fc.integer() }),
      fc.record({
        type: fc.constant("object"),
        properties: fc.dictionary(names, tie("schema")),
        "x-kubernetes-preserve-unknown-fields": fc.boolean(),
        default: fc.option(fc.constant({}), { nil: undefined }),
      }),
      fc.record({ type: fc.constant("array"), items: tie("schema") }),
      fc.record({ type: fc.constant("object"), additionalProperties: tie("schema") }),
    ) as fc.Arbitrary<JsonSchemaProps>,
    value: fc.constant(null),
  }));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, "x", 1, true),
      fc.dictionary(names, tie("value")),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
  }));

  it("changes nothing more when it is done again", () => {
    fc.assert(
      fc.property(
        fc.dictionary(names, schema),
        fc.dictionary(names, value),
        (properties, given) => {
          const once = shaped(object(properties), given);
          const twice = shaped(object(properties), once.object);
          assert.deepEqual(twice, { object: once.object, unknown: [] });
        },
      ),
      { numRuns: 500 },
    );
  });
});
