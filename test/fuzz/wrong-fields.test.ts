import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { KINDS } from "../../src/api/kinds.ts";
import { apiVersionOf } from "../../src/api/machinery/kind.ts";
import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import { startTestServer } from "../apiserver/test-server.ts";
import { declaredFields } from "./derived.ts";
import type { DeclaredField } from "./derived.ts";
import { sampleOf } from "./samples.ts";

const api = await startTestServer();
after(() => api[Symbol.asyncDispose]());

describe("a body with one field that is wrong", () => {
  for (const kind of KINDS) {
    const fields = declaredFields(kind.schema).filter(
      ({ path }) => path !== "apiVersion" && path !== "kind",
    );
    it(`is refused when a field of ${kind.kind} has the wrong type, and the field is named`, async () => {
      const wrong = fields.filter(
        ({ type }) => !(type.kind === "scalar" && type.scalar === "json"),
      );
      assert.ok(wrong.length > 10, "the kind has fields");
      for (const field of wrong) {
        const { status, text } = await create(kind, field.put(wrongFor(field)));
        assert.equal(status, 400, `${field.path}: ${text}`);
        assert.ok(text.includes(`.${field.goPath} of type `), `${field.path}: ${text}`);
      }
    });

    it(`is refused when ${kind.kind} has a field that nobody knows, and the field is named`, async () => {
      const messages = fields.filter(
        ({ type }) => type.kind === "message" && type.preserveUnknown !== true,
      );
      for (const { path, put } of messages) {
        const { status, text } = await create(kind, put({ zz: 1 }));
        assert.equal(status, 400, `${path}: ${text}`);
        assert.ok(text.includes(`unknown field \\"${path}.zz\\"`), `${path}: ${text}`);
      }
    });
  }

  for (const [name, path, gone] of REQUIRED()) {
    it(`is refused when a ${name} lacks ${path}`, async () => {
      const kind = KINDS.find((one) => one.kind === name);
      assert.ok(kind);
      const sample = sampleOf(kind);
      const good = await create(kind, sample);
      assert.equal(good.status, 201, `the sample itself: ${good.text}`);
      const { status, json, text } = await create(kind, without(sample, gone));
      assert.equal(status, 422, text);
      const causes = json["details"]?.["causes"] as unknown as readonly { field: string }[];
      assert.ok(
        causes.some(({ field }) => field === path),
        text,
      );
    });
  }
});

/** Kind, the field as the cause names it, and what is taken away. */
function REQUIRED(): readonly (readonly [string, string, readonly (string | number)[]])[] {
  return [
    ["Service", "spec.ports", ["spec", "ports"]],
    ["Service", "spec.ports[0].port", ["spec", "ports", 0, "port"]],
    ["Service", "spec.ports[1].name", ["spec", "ports", 1, "name"]],
    ["Pod", "spec.containers", ["spec", "containers"]],
    ["Pod", "spec.containers[0].name", ["spec", "containers", 0, "name"]],
    [
      "Pod",
      "spec.containers[0].volumeMounts[0].mountPath",
      ["spec", "containers", 0, "volumeMounts", 0, "mountPath"],
    ],
    ["Endpoints", "subsets[0].addresses[0].ip", ["subsets", 0, "addresses", 0, "ip"]],
    ["EndpointSlice", "addressType", ["addressType"]],
    ["EndpointSlice", "endpoints[0].addresses", ["endpoints", 0, "addresses"]],
    ["Role", "rules[0].verbs", ["rules", 0, "verbs"]],
    ["ClusterRole", "rules[0].verbs", ["rules", 0, "verbs"]],
    ["RoleBinding", "subjects[0].name", ["subjects", 0, "name"]],
    ["RoleBinding", "roleRef.name", ["roleRef", "name"]],
    ["ClusterRoleBinding", "roleRef.name", ["roleRef", "name"]],
    ["IPAddress", "spec.parentRef", ["spec", "parentRef"]],
    ["IPAddress", "spec.parentRef.resource", ["spec", "parentRef", "resource"]],
    ["ServiceCIDR", "spec.cidrs", ["spec", "cidrs"]],
    ["CustomResourceDefinition", "spec.group", ["spec", "group"]],
    ["CustomResourceDefinition", "spec.scope", ["spec", "scope"]],
    ["CustomResourceDefinition", "spec.names.kind", ["spec", "names", "kind"]],
  ];
}

function without(value: unknown, [key, ...rest]: readonly (string | number)[]): unknown {
  if (typeof key === "number" && Array.isArray(value)) {
    return value.with(key, without(value[key], rest));
  }
  assert.ok(typeof value === "object" && value !== null && key !== undefined);
  const object: Readonly<Record<string, unknown>> = { ...value };
  const { [key]: inner, ...others } = object;
  return rest.length === 0 ? others : { ...others, [key]: without(inner, rest) };
}

function create(kind: KindDefinition, value: unknown) {
  const root = kind.group === "" ? "/api/v1" : `/apis/${apiVersionOf(kind)}`;
  const inside = kind.namespaced ? "/namespaces/default" : "";
  const url = `${root}${inside}/${kind.plural}?dryRun=All&fieldValidation=Strict`;
  return api.call("POST", url, value);
}

/** What no field of this type may hold. */
function wrongFor({ type }: DeclaredField): unknown {
  if (type.kind !== "scalar") return 1;
  return ["boolean", "int32", "int64", "double"].includes(type.scalar) ? "a" : { a: [] };
}
