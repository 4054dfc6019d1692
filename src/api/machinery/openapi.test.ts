import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isJsonObject } from "./json.ts";
import { objectMeta, typeFields } from "./metadata.ts";
import { groupVersionPath, openApiV3, openApiV3Index } from "./openapi.ts";
import {
  field,
  inline,
  int32,
  lazy,
  list,
  map,
  message,
  present,
  quantity,
  string,
} from "./schema.ts";
import type { MessageType } from "./schema.ts";

const port = message("test.v1.Port", "A port.", {
  port: present(1, int32, { required: true, description: "Its number." }),
  protocol: field(2, string, { default: "TCP", enum: ["TCP", "UDP"] }),
});
const source = message("test.v1.Source", "A source.", { path: field(1, string) });
const spec: MessageType = message("test.v1.Spec", "What it should be.", {
  ports: field(1, list(port, { listType: "map", mapKeys: ["port", "protocol"], mergeKey: "port" })),
  selector: field(2, map(string, "atomic")),
  finalizers: field(3, list(string, { listType: "set", mergeKey: "" })),
  limits: field(4, map(quantity)),
  source: inline(5, source),
  volume: field(6, source, { retainKeys: true, description: "Where data is." }),
  child: field(
    7,
    lazy(() => spec),
  ),
});
const ref = message("test.v1.Ref", "Points.", { name: field(1, string) }, { atomic: true });
const thing = {
  group: "test.io",
  version: "v1",
  kind: "Thing",
  plural: "things",
  namespaced: true,
  schema: message("test.v1.Thing", "A thing.", {
    ...typeFields,
    metadata: present(1, objectMeta),
    spec: field(2, spec),
    ref: field(3, ref),
  }),
  strategy: { prepareForStatusUpdate: <T>(object: T): T => object },
};
const global = {
  ...thing,
  kind: "Global",
  plural: "globals",
  namespaced: false,
  schema: message("test.v1.Global", "A thing of the cluster.", {
    ...typeFields,
    metadata: present(1, objectMeta),
  }),
  strategy: {},
};

const DOCUMENT: unknown = openApiV3([thing, global], { title: "Test", version: "v1" });

function at(...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (isJsonObject(value) ? value[key] : undefined),
    DOCUMENT,
  );
}

function schemaOf(name: string): unknown {
  return at("components", "schemas", name);
}

describe("openApiV3()", () => {
  it("describes fields, with keys for merging and applying lists", () => {
    assert.deepEqual(schemaOf("test.v1.Spec"), {
      description: "What it should be.",
      type: "object",
      properties: {
        ports: {
          type: "array",
          items: { $ref: "#/components/schemas/test.v1.Port" },
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["port", "protocol"],
          "x-kubernetes-patch-merge-key": "port",
          "x-kubernetes-patch-strategy": "merge",
        },
        selector: {
          type: "object",
          additionalProperties: { type: "string" },
          "x-kubernetes-map-type": "atomic",
        },
        finalizers: {
          type: "array",
          items: { type: "string" },
          "x-kubernetes-list-type": "set",
          "x-kubernetes-patch-strategy": "merge",
        },
        limits: {
          type: "object",
          additionalProperties: {
            $ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity",
          },
        },
        path: { type: "string" },
        volume: {
          description: "Where data is.",
          "x-kubernetes-patch-strategy": "retainKeys",
          allOf: [{ $ref: "#/components/schemas/test.v1.Source" }],
        },
        child: { $ref: "#/components/schemas/test.v1.Spec" },
      },
    });
  });

  it("says which fields are required, their values and defaults", () => {
    assert.deepEqual(schemaOf("test.v1.Port"), {
      description: "A port.",
      type: "object",
      required: ["port"],
      properties: {
        port: { description: "Its number.", type: "integer", format: "int32" },
        protocol: { default: "TCP", enum: ["TCP", "UDP"], type: "string" },
      },
    });
  });

  it("marks kinds, their lists, atomic objects, and the kinds that DeleteOptions stands for", () => {
    const marks = "x-kubernetes-group-version-kind";
    const mark = (kind: string): unknown => [{ group: "test.io", kind, version: "v1" }];
    assert.deepEqual(at("components", "schemas", "test.v1.Thing", marks), mark("Thing"));
    assert.deepEqual(at("components", "schemas", "test.v1.ThingList", marks), mark("ThingList"));
    assert.deepEqual(
      at("components", "schemas", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", marks),
      mark("DeleteOptions"),
    );
    assert.equal(at("components", "schemas", "test.v1.Ref", "x-kubernetes-map-type"), "atomic");
  });

  it("has the paths of the kinds, for all namespaces too, and /status where there is one", () => {
    const paths = at("paths");
    assert.deepEqual(Object.keys(isJsonObject(paths) ? paths : {}), [
      "/apis/test.io/v1/things",
      "/apis/test.io/v1/namespaces/{namespace}/things",
      "/apis/test.io/v1/namespaces/{namespace}/things/{name}",
      "/apis/test.io/v1/namespaces/{namespace}/things/{name}/status",
      "/apis/test.io/v1/watch/things",
      "/apis/test.io/v1/watch/namespaces/{namespace}/things",
      "/apis/test.io/v1/watch/namespaces/{namespace}/things/{name}",
      "/apis/test.io/v1/globals",
      "/apis/test.io/v1/globals/{name}",
      "/apis/test.io/v1/watch/globals",
      "/apis/test.io/v1/watch/globals/{name}",
    ]);
  });

  it("tells kubectl that a PATCH validates fields, runs dry, and takes the four kinds of patch", () => {
    const patch = ["paths", "/apis/test.io/v1/globals/{name}", "patch"];
    assert.deepEqual(at(...patch, "x-kubernetes-group-version-kind"), {
      group: "test.io",
      version: "v1",
      kind: "Global",
    });
    const parameters = at(...patch, "parameters");
    assert.ok(Array.isArray(parameters));
    const names = parameters.map((p: { name: string; in: string }) => `${p.in} ${p.name}`);
    assert.deepEqual(names, [
      "query dryRun",
      "query fieldManager",
      "query fieldValidation",
      "query force",
    ]);
    const content = at(...patch, "requestBody", "content");
    assert.deepEqual(Object.keys(isJsonObject(content) ? content : {}), [
      "application/apply-patch+yaml",
      "application/json-patch+json",
      "application/merge-patch+json",
      "application/strategic-merge-patch+json",
    ]);
  });

  it("refers only to schemas that it has, and never beside other keys", () => {
    const refs: string[] = [];
    const walk = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(walk);
      if (!isJsonObject(value)) return;
      const target = value["$ref"];
      if (typeof target === "string") {
        refs.push(target);
        assert.deepEqual(Object.keys(value), ["$ref"]);
      }
      Object.values(value).forEach(walk);
    };
    walk(DOCUMENT);
    assert.ok(refs.length > 20);
    for (const target of refs) {
      const name = target.replace("#/components/schemas/", "");
      assert.ok(isJsonObject(schemaOf(name)), target);
    }
  });
});

describe("openApiV3Index()", () => {
  it("points to each document with the hash of its content", () => {
    const path = groupVersionPath(thing);
    assert.equal(groupVersionPath({ group: "", version: "v1" }), "api/v1");
    assert.deepEqual(openApiV3Index([{ path, hash: "ABC" }]), {
      paths: {
        "apis/test.io/v1": { serverRelativeURL: "/openapi/v3/apis/test.io/v1?hash=ABC" },
      },
    });
  });
});
