import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deploymentKind } from "../../src/api/apps/deployment.kind.ts";
import type { Deployment } from "../../src/api/apps/deployment.ts";
import { replicaSetKind } from "../../src/api/apps/replicaset.kind.ts";
import type { Draft } from "../../src/api/machinery/metadata.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { startDeploymentController } from "../../src/controllers/deployment.ts";
import { startGarbageCollector } from "../../src/controllers/garbage-collector.ts";
import { startReplicaSetController } from "../../src/controllers/replicaset.ts";
import { isReady } from "../../src/core/workloads/pods.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

function web(image = "one", replicas = 3): Draft<Deployment> {
  return {
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { containers: [{ name: "main", image }] },
      },
    },
  };
}

const WEB = { name: "web", namespace: "default" };

/** Makes every Pod ready as soon as it is there. */
function startAgent(plane: ControlPlane): Disposable {
  return plane.deps.informers.of(podKind).onChange(({ after }) => {
    if (after === undefined || isReady(after)) return;
    void plane.report(after, true).catch(() => undefined); // A Pod may be gone by then.
  });
}

function images(pods: readonly Pod[]): readonly string[] {
  return pods.map(({ spec }) => spec.containers[0]?.image ?? "").toSorted();
}

async function start(plane: ControlPlane): Promise<AsyncDisposable> {
  const loops = [
    startDeploymentController(plane.deps),
    startReplicaSetController(plane.deps),
    startGarbageCollector({ ...plane.deps, informerOf: (kind) => plane.deps.informers.of(kind) }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const loop of loops) await loop[Symbol.asyncDispose]();
    },
  };
}

describe("the Deployment controller", () => {
  it("makes Pods, rolls a new template out, and never falls below what must be available", async () => {
    await using plane = await startControlPlane();
    await using _loops = await start(plane);
    using _agent = startAgent(plane);
    await plane.client.create(deploymentKind, web());
    await plane.until(deploymentKind, ([one]) => one?.status?.availableReplicas === 3);
    let lowest = 3;
    using _watch = plane.deps.informers.of(podKind).onChange(() => {
      const pods = plane.deps.informers.of(podKind).list();
      lowest = Math.min(lowest, pods.filter(isReady).length);
    });
    const body = { spec: { template: { spec: { containers: [{ name: "main", image: "two" }] } } } };
    await plane.client.patch(deploymentKind, WEB, { kind: "strategic", body });
    await plane.until(podKind, (pods) => String(images(pods)) === "two,two,two");
    const [done] = await plane.until(
      deploymentKind,
      ([one]) => one?.status?.updatedReplicas === 3 && one.status.replicas === 3,
    );
    assert.equal(lowest, 3);
    assert.equal(done?.metadata.annotations?.["deployment.kubernetes.io/revision"], "2");
    assert.equal(plane.deps.informers.of(replicaSetKind).list().length, 2);
  });

  it("is scaled through /scale, and its dependents go with it", async () => {
    await using plane = await startControlPlane();
    await using _loops = await start(plane);
    using _agent = startAgent(plane);
    await plane.client.create(deploymentKind, web());
    await plane.until(podKind, (pods) => pods.length === 3);
    const patch = { kind: "merge", body: { spec: { replicas: 1 } } } as const;
    await plane.client.patch(deploymentKind, WEB, patch, { subresource: "scale" });
    await plane.until(podKind, (pods) => pods.length === 1);
    await plane.client.delete(deploymentKind, WEB, { propagationPolicy: "Background" });
    await plane.until(podKind, (pods) => pods.length === 0);
    await plane.until(replicaSetKind, (sets) => sets.length === 0);
  });

  it("leaves its sets alone when it is deleted with Orphan, and waits for them with Foreground", async () => {
    await using plane = await startControlPlane();
    await using _loops = await start(plane);
    await plane.client.create(deploymentKind, web());
    await plane.until(podKind, (pods) => pods.length === 3);
    await plane.client.delete(deploymentKind, WEB, { propagationPolicy: "Orphan" });
    await plane.until(deploymentKind, (all) => all.length === 0);
    const [set] = await plane.until(
      replicaSetKind,
      ([one]) => (one?.metadata.ownerReferences ?? []).length === 0,
    );
    assert.ok(set !== undefined);
    await plane.client.create(deploymentKind, web());
    const [adopted] = await plane.until(
      replicaSetKind,
      ([one]) => one?.metadata.ownerReferences?.[0]?.kind === "Deployment",
    );
    assert.equal(adopted?.metadata.uid, set.metadata.uid);
    await plane.client.delete(deploymentKind, WEB, { propagationPolicy: "Foreground" });
    await plane.until(deploymentKind, (all) => all.length === 0);
    assert.equal((await plane.client.list(podKind)).items.length, 0);
  });
});
