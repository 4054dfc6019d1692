import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { servedKindOf } from "../../src/api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../../src/api/apiextensions/customresourcedefinition.kind.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { startNamespaceController } from "../../src/controllers/namespace.ts";
import { startControlPlane } from "./control-plane.ts";

describe("the namespace controller", () => {
  it("empties a Namespace that is being deleted and lets it go", async () => {
    await using plane = await startControlPlane();
    await using _controller = startNamespaceController(plane.deps);
    const { client } = plane;
    await client.create(namespaceKind, { metadata: { name: "team" } });
    for (const name of ["a", "b"]) {
      await client.create(configMapKind, { metadata: { name, namespace: "team" } });
    }
    await client.create(configMapKind, { metadata: { name: "kept", namespace: "default" } });
    await client.delete(namespaceKind, { name: "team" });
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata }) => metadata.name === "team"),
    );
    const { items } = await client.list(configMapKind);
    assert.ok(items.every(({ metadata }) => metadata.namespace !== "team"));
    assert.ok(items.some(({ metadata }) => metadata.name === "kept"));
  });

  it("empties it of custom resources as well", async () => {
    await using plane = await startControlPlane();
    await using _controller = startNamespaceController(plane.deps);
    const { client } = plane;
    await client.create(customResourceDefinitionKind, {
      metadata: { name: "things.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "things", kind: "Thing" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object" } },
          },
        ],
      },
    });
    const [definition] = await plane.until(customResourceDefinitionKind, (all) =>
      all.some((crd) => servedKindOf(crd).length > 0),
    );
    const [kind] = definition === undefined ? [] : servedKindOf(definition);
    assert.ok(kind !== undefined);
    await client.create(namespaceKind, { metadata: { name: "team" } });
    await client.create(kind, { metadata: { name: "a", namespace: "team" } });
    await client.create(kind, { metadata: { name: "kept", namespace: "default" } });
    await client.delete(namespaceKind, { name: "team" });
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata }) => metadata.name === "team"),
    );
    const { items } = await client.list(kind);
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ["kept"],
    );
  });

  it("waits for objects that have finalizers", async () => {
    await using plane = await startControlPlane();
    await using _controller = startNamespaceController(plane.deps);
    const { client } = plane;
    await client.create(namespaceKind, { metadata: { name: "team" } });
    const held = await client.create(configMapKind, {
      metadata: { name: "held", namespace: "team", finalizers: ["example.com/wait"] },
    });
    await client.delete(namespaceKind, { name: "team" });
    await plane.until(configMapKind, (all) =>
      all.some(
        ({ metadata }) => metadata.name === "held" && metadata.deletionTimestamp !== undefined,
      ),
    );
    const namespace = await client.get(namespaceKind, { name: "team" });
    assert.equal(namespace.status?.phase, "Terminating");
    const patch = { kind: "merge", body: { metadata: { finalizers: null } } } as const;
    await client.patch(configMapKind, held.metadata, patch);
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata }) => metadata.name === "team"),
    );
  });
});
