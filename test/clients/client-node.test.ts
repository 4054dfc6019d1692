import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  V1MicroTime,
  setHeaderOptions,
} from "@kubernetes/client-node";
import type { KubernetesObject, V1Lease } from "@kubernetes/client-node";
import { startKubectlServer } from "../apiserver/kubectl.ts";
import type { KubectlServer } from "../apiserver/kubectl.ts";

interface Widget extends KubernetesObject {
  spec: { size: number };
}

describe("@kubernetes/client-node against the API server", () => {
  let server: KubectlServer;
  let core: CoreV1Api;
  let leases: CoordinationV1Api;
  let objects: KubernetesObjectApi;
  before(async () => {
    server = await startKubectlServer();
    const config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
    leases = config.makeApiClient(CoordinationV1Api);
    objects = KubernetesObjectApi.makeApiClient(config);
  });
  after(() => server[Symbol.asyncDispose]());

  const code = (expected: number) => (error: unknown) => {
    assert.ok(error instanceof ApiException);
    assert.equal(error.code, expected);
    return true;
  };

  it("patches in the four ways", async () => {
    const namespace = "default";
    const name = "patched";
    const spec = { ports: [{ name: "a", port: 80 }] };
    await core.createNamespacedService({ namespace, body: { metadata: { name }, spec } });
    const patch = (type: string, body: unknown, fieldManager?: string) =>
      core.patchNamespacedService(
        { namespace, name, body, ...(fieldManager === undefined ? {} : { fieldManager }) },
        setHeaderOptions("Content-Type", type),
      );
    const strategic = await patch(PatchStrategy.StrategicMergePatch, {
      spec: { ports: [{ name: "b", port: 81 }] },
    });
    assert.deepEqual(
      strategic.spec?.ports?.map(({ port }) => port),
      [81, 80],
    );
    const merged = await patch(PatchStrategy.MergePatch, {
      metadata: { labels: { merged: "yes" } },
    });
    assert.equal(merged.metadata?.labels?.["merged"], "yes");
    const json = await patch(PatchStrategy.JsonPatch, [
      { op: "replace", path: "/spec/ports/0/port", value: 82 },
    ]);
    assert.equal(json.spec?.ports?.[0]?.port, 82);
    const applied = await patch(
      PatchStrategy.ServerSideApply,
      { apiVersion: "v1", kind: "Service", metadata: { name, labels: { applied: "yes" } } },
      "tester",
    );
    assert.equal(applied.metadata?.labels?.["applied"], "yes");
    const owner = applied.metadata?.managedFields?.find(({ manager }) => manager === "tester");
    assert.equal(owner?.operation, "Apply");
    // client-node's objects are instances of classes; what it sends is their fields.
    const old = structuredClone(merged);
    assert.ok(old.spec);
    old.spec.sessionAffinity = "ClientIP";
    await assert.rejects(core.replaceNamespacedService({ namespace, name, body: old }), code(409));
  });

  it("handles objects of any kind, those of definitions too", async () => {
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "widgets.shop.test" },
      spec: {
        group: "shop.test",
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  spec: { type: "object", properties: { size: { type: "integer" } } },
                },
              },
            },
          },
        ],
      },
    };
    await objects.create(definition);
    await server.run(["wait", "--for=condition=Established", "crd/widgets.shop.test"]);
    const widget: Widget = {
      apiVersion: "shop.test/v1",
      kind: "Widget",
      metadata: { namespace: "default", name: "one" },
      spec: { size: 1 },
    };
    const made = await objects.create(widget);
    const replaced = await objects.replace({ ...made, spec: { size: 2 } });
    assert.equal(replaced.spec.size, 2);
    const patched = await objects.patch<Widget>(
      { ...widget, spec: { size: 3 } },
      undefined,
      undefined,
      undefined,
      undefined,
      PatchStrategy.MergePatch,
    );
    assert.equal(patched.spec.size, 3);
    const list = await objects.list<Widget>("shop.test/v1", "Widget", "default");
    assert.deepEqual(
      list.items.map(({ spec }) => spec.size),
      [3],
    );
    const header = { ...widget, metadata: { namespace: "default", name: "one" } };
    await objects.delete(header);
    await assert.rejects(objects.read(header), code(404));
  });

  it("takes, keeps, loses and gives back a Lease", async () => {
    const namespace = "default";
    const name = "leader";
    const body = (holder: string, from?: V1Lease): V1Lease => ({
      metadata: {
        name,
        ...(from?.metadata?.resourceVersion === undefined
          ? {}
          : { resourceVersion: from.metadata.resourceVersion }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: 15,
        acquireTime: new V1MicroTime(),
        renewTime: new V1MicroTime(),
      },
    });
    const taken = await leases.createNamespacedLease({ namespace, body: body("one") });
    await assert.rejects(leases.createNamespacedLease({ namespace, body: body("two") }), code(409));
    const kept = await leases.replaceNamespacedLease({ namespace, name, body: body("one", taken) });
    // Who read the Lease before it was renewed cannot take it.
    await assert.rejects(
      leases.replaceNamespacedLease({ namespace, name, body: body("two", taken) }),
      code(409),
    );
    const given = await leases.replaceNamespacedLease({ namespace, name, body: body("", kept) });
    const next = await leases.replaceNamespacedLease({ namespace, name, body: body("two", given) });
    assert.equal(next.spec?.holderIdentity, "two");
    await leases.deleteNamespacedLease({ namespace, name });
  });

  it("hears what is wrong, field by field", async () => {
    const body = { metadata: { name: "bad" }, spec: { ports: [{ port: 0 }] } };
    await assert.rejects(
      core.createNamespacedService({ namespace: "default", body }),
      (error: unknown) => {
        assert.ok(error instanceof ApiException);
        assert.equal(error.code, 422);
        assert.match(String(error.body), /"field":"spec\.ports\[0\]\.port"/);
        return true;
      },
    );
  });
});
