import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { servedKindOf } from "../../src/api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../../src/api/apiextensions/customresourcedefinition.kind.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import type { Namespace } from "../../src/api/v1/namespace.ts";
import { StatusError } from "../../src/api/machinery/status.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { startNamespaceController } from "../../src/controllers/namespace.ts";
import type { ApiClient } from "../../src/client/client.ts";
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
    const remain = (all: readonly Namespace[]): string | undefined =>
      all
        .find(({ metadata }) => metadata.name === "team")
        ?.status?.conditions?.filter(({ status }) => status === "True")
        .map(({ reason, message }) => `${reason ?? ""}: ${message ?? ""}`)
        .join("; ");
    const expected =
      "SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances; " +
      "SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances";
    await plane.until(namespaceKind, (all) => remain(all) === expected);
    const namespace = await client.get(namespaceKind, { name: "team" });
    assert.equal(namespace.status?.phase, "Terminating");
    assert.equal(namespace.status.conditions?.length, 5);
    await assert.rejects(
      client.create(configMapKind, { metadata: { name: "late", namespace: "team" } }),
      (error: unknown) =>
        error instanceof StatusError &&
        error.code === 403 &&
        error.message ===
          'configmaps "late" is forbidden: unable to create new content in namespace team because it is being terminated' &&
        error.status.details?.causes?.[0]?.reason === "NamespaceTerminating",
    );
    const patch = { kind: "merge", body: { metadata: { finalizers: null } } } as const;
    await client.patch(configMapKind, held.metadata, patch);
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata }) => metadata.name === "team"),
    );
  });

  it("empties it of Pods first, so that they have what they use to their end", async () => {
    await using plane = await startControlPlane();
    await using _controller = startNamespaceController(plane.deps);
    const { client } = plane;
    await client.create(namespaceKind, { metadata: { name: "team" } });
    const metadata = { name: "a", namespace: "team" };
    await client.create(configMapKind, { metadata });
    const pod = await client.create(podKind, {
      metadata: { ...metadata, finalizers: ["example.com/wait"] },
      spec: { containers: [{ name: "c", image: "none" }] },
    });
    await client.delete(namespaceKind, { name: "team" });
    await plane.until(namespaceKind, (all) =>
      all.some(({ status }) =>
        status?.conditions?.some(({ message = "" }) =>
          message.endsWith("remaining: pods. has 1 resource instances"),
        ),
      ),
    );
    await client.get(configMapKind, metadata);
    const patch = { kind: "merge", body: { metadata: { finalizers: null } } } as const;
    await client.patch(podKind, pod.metadata, patch);
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata: { name } }) => name === "team"),
    );
    const { items } = await client.list(configMapKind);
    assert.ok(items.every((one) => one.metadata.namespace !== "team"));
  });

  it("says when something cannot be deleted, and goes on once it can", async () => {
    await using plane = await startControlPlane();
    const { client } = plane;
    await client.create(namespaceKind, { metadata: { name: "team" } });
    await client.create(configMapKind, { metadata: { name: "a", namespace: "team" } });
    let isBroken = true;
    const flaky: ApiClient = {
      ...client,
      deleteCollection: (kind, options) =>
        isBroken && kind.plural === "configmaps"
          ? Promise.reject(new Error("the store is away"))
          : client.deleteCollection(kind, options),
    };
    await using _controller = startNamespaceController({ ...plane.deps, client: flaky });
    await client.delete(namespaceKind, { name: "team" });
    await plane.until(namespaceKind, (all) =>
      all.some(({ status }) =>
        status?.conditions?.some(
          ({ reason, message }) =>
            reason === "ContentDeletionFailed" &&
            message === "Failed to delete all resource types, 1 remaining: the store is away",
        ),
      ),
    );
    isBroken = false;
    await plane.until(
      namespaceKind,
      (all) => !all.some(({ metadata }) => metadata.name === "team"),
    );
  });
});
