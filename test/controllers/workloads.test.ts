import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { daemonSetKind } from "../../src/api/apps/daemonset.kind.ts";
import { statefulSetKind } from "../../src/api/apps/statefulset.kind.ts";
import { jobKind } from "../../src/api/batch/job.kind.ts";
import { startDaemonSetController } from "../../src/controllers/daemonset.ts";
import { startJobController } from "../../src/controllers/job.ts";
import { startStatefulSetController } from "../../src/controllers/statefulset.ts";
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
    startGarbageCollector({
      ...plane.deps,
      informerOf: (kind) => plane.deps.informers.of(kind),
      openInformers: () => plane.freshInformers(),
    }),
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

describe("the StatefulSet controller", () => {
  it("makes Pods in order, each with its name, and updates them from the last", async () => {
    await using plane = await startControlPlane();
    await using _loop = startStatefulSetController(plane.deps);
    using _agent = startAgent(plane);
    const { spec } = web();
    await plane.client.create(statefulSetKind, {
      metadata: { name: "db", namespace: "default" },
      spec: {
        replicas: 2,
        serviceName: "db",
        selector: spec?.selector ?? {},
        template: spec?.template ?? {},
      },
    });
    const made = await plane.until(podKind, (pods) => pods.length === 2 && pods.every(isReady));
    const names = made.map((pod) => `${pod.metadata.name} ${pod.spec.hostname ?? ""}`);
    assert.deepEqual(names.toSorted(), ["db-0 db-0", "db-1 db-1"]);
    const body = { spec: { template: { spec: { containers: [{ name: "main", image: "two" }] } } } };
    await plane.client.patch(
      statefulSetKind,
      { name: "db", namespace: "default" },
      { kind: "strategic", body },
    );
    await plane.until(podKind, (pods) => String(images(pods)) === "two,two");
    await plane.until(
      statefulSetKind,
      ([set]) => set?.status?.currentRevision === set?.status?.updateRevision,
    );
  });
});

describe("the DaemonSet controller", () => {
  it("keeps one Pod on each node", async () => {
    await using plane = await startControlPlane();
    await using _loop = startDaemonSetController(plane.deps);
    using _agent = startAgent(plane);
    await plane.node("a");
    await plane.client.create(daemonSetKind, {
      metadata: { name: "log", namespace: "default" },
      spec: { selector: web().spec?.selector ?? {}, template: web().spec?.template ?? {} },
    });
    await plane.until(daemonSetKind, ([set]) => set?.status?.numberAvailable === 1);
    await plane.node("b");
    const pods = await plane.until(podKind, (all) => all.length === 2);
    assert.deepEqual(pods.map((pod) => pod.spec.nodeName ?? "").toSorted(), ["a", "b"]);
  });
});

describe("the Job controller", () => {
  it("runs Pods until enough have succeeded", async () => {
    await using plane = await startControlPlane();
    await using _loop = startJobController(plane.deps);
    using _agent = plane.deps.informers.of(podKind).onChange(({ after }) => {
      if (after === undefined || after.status?.phase === "Succeeded") return;
      const patch = { kind: "merge", body: { status: { phase: "Succeeded" } } } as const;
      void plane.client // A Pod may be gone by then.
        .patch(podKind, after.metadata, patch, { subresource: "status" })
        .catch(() => undefined);
    });
    await plane.client.create(jobKind, {
      metadata: { name: "sum", namespace: "default" },
      spec: {
        completions: 3,
        parallelism: 2,
        template: { spec: { restartPolicy: "Never", containers: [{ name: "m", image: "i" }] } },
      },
    });
    const [done] = await plane.until(jobKind, ([job]) => job?.status?.completionTime !== undefined);
    assert.equal(done?.status?.succeeded, 3);
    assert.equal((await plane.client.list(podKind)).items.length, 3);
  });
});
