import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { servedKinds } from "../kinds.ts";
import { isJsonObject } from "./json.ts";
import { openApiV3 } from "./openapi.ts";
import { openApiV2 } from "./openapi-v2.ts";

const INFO = { title: "Test", version: "v1" };
const kinds = servedKinds({ podCidrs: [] });
const groupsOf = (group: string) => kinds.filter((kind) => kind.group === group);
const DOCUMENT: unknown = openApiV2(
  [openApiV3(groupsOf(""), INFO), openApiV3(groupsOf("discovery.k8s.io"), INFO)],
  INFO,
);

function at(...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (isJsonObject(value) ? value[key] : undefined),
    DOCUMENT,
  );
}

describe("openApiV2()", () => {
  it("refers only to definitions that it has, and uses no word that v2 lacks", () => {
    const refs = new Set<string>();
    const walk = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(walk);
      if (!isJsonObject(value)) return;
      const target = value["$ref"];
      if (typeof target === "string") refs.add(target);
      for (const word of ["allOf", "oneOf", "requestBody", "content"]) {
        assert.ok(!Array.isArray(value[word]) && !isJsonObject(value[word]), word);
      }
      Object.values(value).forEach(walk);
    };
    walk(DOCUMENT);
    assert.ok(refs.size > 100, String(refs.size));
    for (const target of refs) {
      assert.match(target, /^#\/definitions\//);
      assert.ok(at("definitions", target.replace("#/definitions/", "")) !== undefined, target);
    }
  });

  it("keeps what stands beside a reference, and what kubectl merges lists by", () => {
    const port = ["definitions", "io.k8s.api.core.v1.ServiceSpec", "properties", "ports"];
    assert.equal(at(...port, "x-kubernetes-patch-merge-key"), "port");
    const spec = at("definitions", "io.k8s.api.core.v1.Service", "properties", "spec");
    assert.ok(isJsonObject(spec));
    assert.equal(spec["$ref"], "#/definitions/io.k8s.api.core.v1.ServiceSpec");
    assert.equal(typeof spec["description"], "string");
  });

  it("has text for a number or name, as v2 knows no alternatives", () => {
    assert.deepEqual(
      at("definitions", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "type"),
      "string",
    );
  });

  it("puts bodies and types of parameters where v2 has them", () => {
    const post = at("paths", "/api/v1/namespaces/{namespace}/services", "post");
    assert.ok(isJsonObject(post));
    const parameters = post["parameters"];
    assert.ok(Array.isArray(parameters));
    assert.deepEqual(parameters[0], {
      name: "body",
      in: "body",
      required: true,
      schema: { $ref: "#/definitions/io.k8s.api.core.v1.Service" },
    });
    assert.deepEqual(parameters[1], {
      name: "dryRun",
      in: "query",
      type: "string",
      uniqueItems: true,
    });
  });

  it("marks DeleteOptions with the kinds of all groups", () => {
    const name = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    assert.deepEqual(at("definitions", name, "x-kubernetes-group-version-kind"), [
      { group: "", kind: "DeleteOptions", version: "v1" },
      { group: "discovery.k8s.io", kind: "DeleteOptions", version: "v1" },
    ]);
  });
});
