import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeObject } from "../machinery/decode.ts";
import { customResourceDefinitionKind } from "./customresourcedefinition.kind.ts";
import { customResourceDefinition } from "./customresourcedefinition.ts";
import type { CustomResourceDefinition } from "./customresourcedefinition.ts";

interface Given {
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: object;
  readonly names?: object;
  readonly version?: object;
  readonly versions?: readonly object[];
  readonly schema?: unknown;
}

const { strategy } = customResourceDefinitionKind;

function definition(given: Given): CustomResourceDefinition {
  const schema = { type: "object", ...(given.schema as object | undefined) };
  const version = {
    name: "v1",
    served: true,
    storage: true,
    schema: { openAPIV3Schema: schema },
    ...given.version,
  };
  const decoded = decodeObject(customResourceDefinition, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: given.name ?? "widgets.example.com", annotations: given.annotations ?? {} },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "widgets", kind: "Widget", ...given.names },
      versions: given.versions ?? [version],
      ...given.spec,
    },
  });
  assert.ok(decoded.kind === "decoded");
  // Decoded by its schema.
  const object = decoded.object as unknown as CustomResourceDefinition;
  return strategy.prepareForCreate(strategy.defaults(object));
}

function problems(given: Given): readonly string[] {
  return strategy
    .validateCreate(definition(given))
    .map(({ field, message }) => `${field}: ${message}`);
}

const AT = "spec.validation.openAPIV3Schema";
const field = (schema: object): Given => ({ schema: { properties: { a: schema } } });

describe("customResourceDefinitionKind", () => {
  it("fills in the names that follow from the kind, conversion, and the stored version", () => {
    const { spec, status } = definition({});
    assert.equal(spec.names.singular, "widget");
    assert.equal(spec.names.listKind, "WidgetList");
    assert.deepEqual(spec.conversion, { strategy: "None" });
    assert.deepEqual(status?.storedVersions, ["v1"]);
  });

  it("accepts a plain definition", () => {
    assert.deepEqual(problems({}), []);
  });

  const cases: readonly (readonly [string, Given, readonly string[]])[] = [
    [
      "another name than that of the resource",
      { name: "gadgets.example.com" },
      [
        'metadata.name: Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group',
      ],
    ],
    [
      "a group of the project without its approval",
      { name: "widgets.x.k8s.io", spec: { group: "x.k8s.io" } },
      [
        'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ],
    ],
    [
      "a scope",
      { spec: { scope: "Both" } },
      ['spec.scope: Unsupported value: "Both": supported values: "Cluster", "Namespaced"'],
    ],
    [
      "two versions for storage",
      {
        versions: ["v1", "v2"].map((name) => ({
          name,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object" } },
        })),
      },
      [
        'spec.versions: Invalid value: []string{"v1", "v2"}: must have exactly one version marked as storage version',
      ],
    ],
    [
      "no schema",
      { version: { schema: undefined } },
      ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
    ],
    [
      "conversion webhooks, by name",
      { spec: { conversion: { strategy: "Webhook" } } },
      [
        "spec.conversion.strategy: Forbidden: conversion webhooks are not supported by this server; use None",
      ],
    ],
    [
      "unknown fields kept the old way",
      { spec: { preserveUnknownFields: true } },
      [
        "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
      ],
    ],
    [
      "a field without a type",
      field({ description: "x" }),
      [`${AT}.properties[a].type: Required value: must not be empty for specified object fields`],
    ],
    [
      "items without a type",
      field({ type: "array", items: {} }),
      [
        `${AT}.properties[a].items.type: Required value: must not be empty for specified array items`,
      ],
    ],
    [
      "a list without items",
      field({ type: "array" }),
      [`${AT}.properties[a].items: Required value: must be specified`],
    ],
    [
      "a root that is no object",
      { schema: { type: "string" } },
      [`${AT}.type: Invalid value: "string": must be object at the root`],
    ],
    [
      "a type",
      field({ type: "text" }),
      [
        `${AT}.properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
      ],
    ],
    [
      "types under junctors",
      field({ type: "integer", anyOf: [{ type: "integer" }] }),
      [`${AT}.properties[a].anyOf[0].type: Forbidden: must be empty to be structural`],
    ],
    [
      "fields that only a junctor knows",
      field({ type: "object", not: { properties: { b: { minimum: 1 } } } }),
      [
        `${AT}.properties[a].properties[b]: Required value: because it is defined in ${AT}.properties[a].not.properties[b]`,
      ],
    ],
    [
      "a pattern that is none",
      field({ type: "string", pattern: "(?=a)" }),
      [
        `${AT}.properties[a].pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: \`(?=\``,
      ],
    ],
    [
      "keywords that structural schemas lack",
      field({ type: "object", $ref: "#/a" }),
      [`${AT}.properties[a].$ref: Forbidden: $ref is not supported`],
    ],
    [
      "properties beside additionalProperties",
      field({
        type: "object",
        properties: { b: { type: "string" } },
        additionalProperties: { type: "string" },
      }),
      [
        `${AT}.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
      ],
    ],
    [
      "restrictions of metadata",
      {
        schema: {
          properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } },
        },
      },
      [
        `${AT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified`,
      ],
    ],
    [
      "list keys that items lack",
      field({
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: { type: "object" },
      }),
      [
        `${AT}.properties[a].x-kubernetes-list-map-keys: Invalid value: []string{"name"}: entries must all be names of item properties`,
      ],
    ],
    [
      "list keys that may be absent",
      field({
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: { type: "object", properties: { name: { type: "string" } } },
      }),
      [
        `${AT}.properties[a].items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
      ],
    ],
    [
      "defaults of another type",
      field({ type: "integer", default: "x" }),
      [
        `${AT}.properties[a].default: Invalid value: "string": ${AT}.properties[a].default in body must be of type integer: "string"`,
      ],
    ],
    [
      "defaults that would be pruned",
      field({ type: "object", default: { b: 1 } }),
      [`${AT}.properties[a].default: Invalid value: {"b":1}: must not have unknown fields`],
    ],
    [
      "a column without a path",
      {
        version: { additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: "spec.a" }] },
      },
      [
        'spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: "spec.a": must be a json path starting with a dot',
      ],
    ],
    [
      "replicas outside of the spec",
      {
        version: {
          subresources: { scale: { specReplicasPath: ".n", statusReplicasPath: ".status.a[0]" } },
        },
      },
      [
        'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".n": should be a json path under .spec',
        'spec.versions[0].subresources.scale.statusReplicasPath: Invalid value: ".status.a[0]": should be a simple json path in dot notation without arrays',
      ],
    ],
  ];
  for (const [what, given, expected] of cases) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(problems(given), expected);
    });
  }

  it("takes int-or-string in both of the forms that say its types once more", () => {
    const types = [{ type: "integer" }, { type: "string" }];
    const base = { "x-kubernetes-int-or-string": true };
    assert.deepEqual(problems(field({ ...base, anyOf: types })), []);
    assert.deepEqual(problems(field({ ...base, allOf: [{ anyOf: types }, { minimum: 1 }] })), []);
    assert.equal(problems(field({ ...base, anyOf: types.slice(1) })).length, 1);
  });

  it("warns of CEL rules, wherever they stand", () => {
    const rules = [{ rule: "self > 0" }];
    const schema = {
      properties: {
        a: { type: "integer", "x-kubernetes-validations": rules },
        b: { type: "array", items: { type: "integer", "x-kubernetes-validations": rules } },
      },
    };
    assert.deepEqual(problems({ schema }), []);
    assert.match(
      strategy.warnings?.(definition({ schema }))[0] ?? "",
      /: 2 CEL rules are kept but not evaluated/,
    );
    assert.deepEqual(strategy.warnings?.(definition({})), []);
  });

  it("keeps what storage depends on", () => {
    const old = {
      ...definition({}),
      status: {
        storedVersions: ["v1"],
        conditions: [{ type: "Established", status: "True" }],
      },
    };
    const other = definition({
      spec: { scope: "Cluster" },
      versions: [
        {
          name: "v2",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object" } },
        },
      ],
    });
    const changed = strategy.prepareForUpdate(other, old);
    assert.deepEqual(changed.status?.storedVersions, ["v1", "v2"]);
    const fields = strategy.validateUpdate(changed, old).map(({ field: at }) => at);
    assert.deepEqual(fields, ["spec.scope", "status.storedVersions[0]"]);
  });

  it("has an answer to schemas that are deep, wide, or made of huge patterns", () => {
    let deep: object = { type: "string" };
    for (let i = 0; i < 150; i++) deep = { type: "array", items: deep };
    assert.deepEqual(problems(field(deep)), []);
    const many = Object.fromEntries(
      Array.from({ length: 60_000 }, (_, i) => [`p${String(i)}`, { type: "string" }]),
    );
    assert.match(
      problems({ schema: { properties: many } }).join(),
      /has more than 50000 schemas in it/,
    );
    const patterns = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [
        `p${String(i)}`,
        { type: "string", pattern: "(a{1000}){15}" },
      ]),
    );
    assert.match(
      problems({ schema: { properties: patterns } }).join(),
      /patterns of this schema are too large together/,
    );
  });

  it("has an answer to any schema", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (schema) => {
        for (const key of ["items", "additionalProperties", "default", "example"]) {
          problems(field({ type: "object", [key]: schema }));
        }
      }),
    );
  });
});
