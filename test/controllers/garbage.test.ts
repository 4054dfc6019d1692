import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { servedKindOf } from "../../src/api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../../src/api/apiextensions/customresourcedefinition.kind.ts";
import type { CustomResourceDefinition } from "../../src/api/apiextensions/customresourcedefinition.ts";
import { jobKind } from "../../src/api/batch/job.kind.ts";
import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import type { KubernetesObject, OwnerReference } from "../../src/api/machinery/metadata.ts";
import { clusterRoleKind } from "../../src/api/rbac/rbac.kinds.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { startGarbageCollector } from "../../src/controllers/garbage-collector.ts";
import { WIDGET_CRD } from "../apiserver/widget.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

function ownedBy(owner: KubernetesObject, more: Partial<OwnerReference> = {}): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? "", ...more };
}

describe("the garbage collector", () => {
  let plane: ControlPlane;
  let collector: AsyncDisposable;
  let widget: KindDefinition;
  before(async () => {
    plane = await startControlPlane();
    collector = startGarbageCollector({
      ...plane.deps,
      informerOf: (kind) => plane.deps.informers.of(kind),
      openInformers: () => plane.freshInformers(),
    });
    widget = await define();
  });
  after(async () => {
    await collector[Symbol.asyncDispose]();
    await plane[Symbol.asyncDispose]();
  });

  const define = async (): Promise<KindDefinition> => {
    // The text is that of a definition.
    const crd = parse(WIDGET_CRD) as CustomResourceDefinition;
    await plane.client.create(customResourceDefinitionKind, crd);
    const all = await plane.until(
      customResourceDefinitionKind,
      ([one]) => one !== undefined && servedKindOf(one).length > 0,
    );
    const [kind] = all.flatMap(servedKindOf);
    assert.ok(kind !== undefined);
    return kind;
  };
  const make = (kind: KindDefinition, name: string, owners: readonly OwnerReference[] = []) =>
    plane.client.create(kind, {
      metadata: { name, namespace: "default", ownerReferences: owners },
      ...(kind === widget ? { spec: { color: "red" } } : {}),
    });
  const remove = (kind: KindDefinition, name: string, policy?: "Foreground" | "Orphan") =>
    plane.client.delete(kind, { namespace: "default", name }, { propagationPolicy: policy });
  const gone = (name: string) =>
    plane.until(configMapKind, (all) => all.every(({ metadata }) => metadata.name !== name));
  const configMap = (name: string) =>
    plane.client.get(configMapKind, { namespace: "default", name });

  it("deletes what a custom resource owned, and custom resources that were owned", async () => {
    const top = await make(configMapKind, "top");
    const middle = await make(widget, "middle", [ownedBy(top)]);
    await make(configMapKind, "bottom", [ownedBy(middle)]);
    await remove(configMapKind, "top");
    await gone("bottom");
    assert.deepEqual((await plane.client.list(widget)).items, []);
  });

  it("waits in the foreground for a custom resource's dependents, and orphans them when asked", async () => {
    const owner = await make(widget, "owner");
    await make(configMapKind, "part", [ownedBy(owner, { blockOwnerDeletion: true })]);
    await remove(widget, "owner", "Foreground");
    await gone("part");
    const other = await make(widget, "other");
    await make(configMapKind, "left", [ownedBy(other)]);
    await remove(widget, "other", "Orphan");
    await plane.until(configMapKind, (all) =>
      all.some(
        ({ metadata }) => metadata.name === "left" && (metadata.ownerReferences ?? []).length === 0,
      ),
    );
    await plane.remove(configMapKind, "left");
  });

  it("frees owners in a circle", async () => {
    const one = await make(configMapKind, "one");
    const two = await make(configMapKind, "two", [ownedBy(one, { blockOwnerDeletion: true })]);
    const ownerReferences = [ownedBy(two, { blockOwnerDeletion: true })];
    const patch = { kind: "merge", body: { metadata: { ownerReferences } } } as const;
    await plane.client.patch(configMapKind, one.metadata, patch);
    await remove(configMapKind, "one", "Foreground");
    await gone("one");
    await gone("two");
  });

  it("takes an owner of another uid for gone, and forgets it where another owner is there", async () => {
    const real = await make(configMapKind, "real");
    const ghost = ownedBy(real, { uid: "00000000-0000-0000-0000-000000000000" });
    await make(configMapKind, "lost", [ghost]);
    await make(configMapKind, "found", [ghost, ownedBy(real)]);
    await gone("lost");
    await plane.until(configMapKind, (all) =>
      all.some(
        ({ metadata }) =>
          metadata.name === "found" && (metadata.ownerReferences ?? []).length === 1,
      ),
    );
    assert.equal((await configMap("found")).metadata.ownerReferences?.[0]?.uid, real.metadata.uid);
    await remove(configMapKind, "real");
    await gone("found");
  });

  it("leaves alone what nobody can judge: unknown kinds, owners in a namespace of what is in none", async () => {
    const stranger = { apiVersion: "example.org/v1", kind: "Stranger", name: "s", uid: "1" };
    await make(configMapKind, "stranger", [stranger]);
    const map = await make(configMapKind, "map");
    await plane.client.create(clusterRoleKind, {
      metadata: { name: "role", ownerReferences: [ownedBy(map)] },
    });
    await make(configMapKind, "witness", [ownedBy(map)]);
    await remove(configMapKind, "map");
    // The collector has seen the end of the owner by then.
    await gone("witness");
    assert.equal((await configMap("stranger")).metadata.name, "stranger");
    assert.equal((await plane.client.get(clusterRoleKind, { name: "role" })).metadata.name, "role");
  });

  it("orphans the dependents of a Job that is deleted without a policy", async () => {
    const job = await plane.client.create(jobKind, {
      metadata: { name: "old", namespace: "default" },
      spec: {
        template: { spec: { restartPolicy: "Never", containers: [{ name: "m", image: "i" }] } },
      },
    });
    await make(configMapKind, "result", [ownedBy(job)]);
    await remove(jobKind, "old");
    await plane.until(jobKind, (all) => all.length === 0);
    assert.deepEqual((await configMap("result")).metadata.ownerReferences ?? [], []);
  });

  it("collects what belonged to a kind that is gone with its definition", async () => {
    const owner = await make(widget, "last");
    await make(configMapKind, "rest", [ownedBy(owner)]);
    await plane.remove(customResourceDefinitionKind, "widgets.example.com");
    await gone("rest");
  });
});
