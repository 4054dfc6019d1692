import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leaseKind } from "../../src/api/coordination/lease.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import type { Node } from "../../src/api/v1/node.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { hasReason } from "../../src/api/machinery/status.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { startNodeLifecycleController } from "../../src/controllers/node-lifecycle.ts";
import { startPodGcController } from "../../src/controllers/pod-gc.ts";
import { startTaintEvictionController } from "../../src/controllers/taint-eviction.ts";
import { startControlPlane } from "./control-plane.ts";

function ready(nodes: readonly Node[], name: string): string | undefined {
  const node = nodes.find(({ metadata }) => metadata.name === name);
  return node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
}

describe("the node lifecycle controller", () => {
  it("NODE-001: a node that falls silent is Unknown, and its Pods are not ready", async () => {
    await using plane = await startControlPlane();
    const namespace = "kube-node-lease";
    await plane.client
      .create(namespaceKind, { metadata: { name: namespace } })
      .catch((error: unknown) => {
        if (!hasReason(error, "AlreadyExists")) throw error;
      });
    for (const name of ["silent", "alive"]) {
      await plane.node(name);
      await plane.client.create(leaseKind, { metadata: { name, namespace }, spec: {} });
      await plane.report(await plane.pod(`on-${name}`, { nodeName: name }), true);
    }
    const clock = { ms: Date.parse("2025-01-01T00:00:00Z") };
    const deps = { ...plane.deps, now: () => clock.ms };
    await using _controller = startNodeLifecycleController(deps, { graceMs: 40_000 });
    const renewed = (renewTime: string) =>
      ({ kind: "merge", body: { spec: { renewTime } } }) as const;
    const touched = (text: string) =>
      ({ kind: "merge", body: { metadata: { labels: { touched: text } } } }) as const;
    // The grace starts with the controller's first look, so the clock goes on until that was long ago.
    let round = 0;
    while (ready([await plane.client.get(nodeKind, { name: "silent" })], "silent") !== "Unknown") {
      round++;
      clock.ms += 60_000;
      const time = new Date(clock.ms).toISOString().replace("Z", "000Z");
      await plane.client.patch(leaseKind, { namespace, name: "alive" }, renewed(time));
      await plane.client.patch(nodeKind, { name: "silent" }, touched(String(round)));
    }
    const nodes = await plane.until(nodeKind, (all) => ready(all, "silent") === "Unknown");
    assert.equal(ready(nodes, "alive"), "True");
    const pods = await plane.until(podKind, (all) =>
      all.some(
        ({ metadata, status }) =>
          metadata.name === "on-silent" &&
          status?.conditions?.find(({ type }) => type === "Ready")?.status === "False",
      ),
    );
    const other = pods.find(({ metadata }) => metadata.name === "on-alive");
    assert.equal(other?.status?.conditions?.find(({ type }) => type === "Ready")?.status, "True");
  });

  it("NODE-001: taints a node that is lost, drives its Pods off when they tolerate it no longer, and recovers", async () => {
    await using plane = await startControlPlane();
    const clock = { ms: Date.now() };
    const deps = { ...plane.deps, now: () => clock.ms };
    // No agent renews anything here; the conditions are what counts.
    await using _lifecycle = startNodeLifecycleController(deps, { graceMs: 3_600_000 });
    await using _eviction = startTaintEvictionController(deps);
    for (const name of ["lost", "alive"]) await plane.node(name);
    const short = [
      {
        key: "node.kubernetes.io/unreachable",
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 5,
      },
    ];
    await plane.pod("short", { nodeName: "lost", tolerations: short });
    const standard = await plane.pod("standard", { nodeName: "lost" });
    await plane.pod("stays", { nodeName: "lost", tolerations: [{ operator: "Exists" }] });
    assert.deepEqual(
      standard.spec.tolerations?.map(({ key, tolerationSeconds }) => [key, tolerationSeconds]),
      [
        ["node.kubernetes.io/not-ready", 300],
        ["node.kubernetes.io/unreachable", 300],
      ],
    );
    const says = (status: string) =>
      ({
        kind: "strategic",
        body: { status: { conditions: [{ type: "Ready", status }] } },
      }) as const;
    const toStatus = { subresource: "status" };
    await plane.client.patch(nodeKind, { name: "lost" }, says("Unknown"), toStatus);
    const taints = (nodes: readonly Node[]): readonly string[] =>
      (nodes.find(({ metadata }) => metadata.name === "lost")?.spec.taints ?? []).map(
        ({ key, effect }) => `${key} ${effect}`,
      );
    await plane.until(nodeKind, (nodes) => taints(nodes).length === 2);
    assert.deepEqual(taints(await plane.until(nodeKind, () => true)), [
      "node.kubernetes.io/unreachable NoSchedule",
      "node.kubernetes.io/unreachable NoExecute",
    ]);
    const isLeaving = (pods: readonly Pod[], name: string): boolean =>
      pods.some(({ metadata, status }) => {
        const target = status?.conditions?.find(({ type }) => type === "DisruptionTarget");
        return (
          metadata.name === name &&
          metadata.deletionTimestamp !== undefined &&
          target?.reason === "DeletionByTaintManager"
        );
      });
    // The loop looks again at its Pods when one changes; the clock alone wakes nobody here.
    const look = async (): Promise<void> => {
      const body = { metadata: { labels: { at: String(clock.ms) } } };
      await plane.client.patch(
        podKind,
        { namespace: "default", name: "stays" },
        { kind: "merge", body },
      );
    };
    clock.ms += 6_000;
    await look();
    await plane.until(podKind, (pods) => isLeaving(pods, "short"));
    await plane.until(eventKind, (events) =>
      events.some(
        ({ reason, involvedObject }) =>
          reason === "TaintManagerEviction" && involvedObject.name === "short",
      ),
    );
    clock.ms += 300_000;
    await look();
    const pods = await plane.until(podKind, (all) => isLeaving(all, "standard"));
    assert.equal(isLeaving(pods, "stays"), false);
    await plane.client.patch(nodeKind, { name: "lost" }, says("True"), toStatus);
    await plane.until(nodeKind, (nodes) => taints(nodes).length === 0);
  });

  it("drives nobody off while no node is ready", async () => {
    await using plane = await startControlPlane();
    await using _lifecycle = startNodeLifecycleController(plane.deps);
    for (const name of ["a", "b"]) await plane.node(name);
    const lost = {
      kind: "strategic",
      body: { status: { conditions: [{ type: "Ready", status: "Unknown" }] } },
    } as const;
    for (const name of ["a", "b"]) {
      await plane.client.patch(nodeKind, { name }, lost, { subresource: "status" });
    }
    const effects = ({ spec }: Node): string =>
      (spec.taints ?? []).map(({ effect }) => effect).join();
    await plane.until(nodeKind, (nodes) => nodes.every((node) => effects(node) === "NoSchedule"));
  });

  it("taints a cordoned node", async () => {
    await using plane = await startControlPlane();
    await using _lifecycle = startNodeLifecycleController(plane.deps);
    await plane.node("a");
    const cordon = (unschedulable: boolean) =>
      ({ kind: "strategic", body: { spec: { unschedulable } } }) as const;
    const keys = ([node]: readonly Node[]): string =>
      (node?.spec.taints ?? []).map(({ key }) => key).join();
    await plane.client.patch(nodeKind, { name: "a" }, cordon(true));
    await plane.until(nodeKind, (nodes) => keys(nodes) === "node.kubernetes.io/unschedulable");
    await plane.client.patch(nodeKind, { name: "a" }, cordon(false));
    await plane.until(nodeKind, (nodes) => keys(nodes) === "");
  });
});

describe("the Pod garbage collector", () => {
  it("NODE-002: deletes Pods whose node is gone, and those being deleted that never had one", async () => {
    await using plane = await startControlPlane();
    await plane.node("a");
    await plane.node("b");
    for (const name of ["a", "b"]) await plane.pod(`on-${name}`, { nodeName: name });
    const held = await plane.client.create(podKind, {
      metadata: { name: "held", namespace: "default", finalizers: ["example.com/wait"] },
      spec: { containers: [{ name: "c", image: "none" }] },
    });
    const start = Date.now();
    let looks = 0;
    // Each look is half a minute after the last.
    const deps = { ...plane.deps, now: () => start + 30_000 * looks++ };
    await using _collector = startPodGcController(deps, { everyMs: 5 });
    await plane.remove(nodeKind, "a");
    const pods = await plane.until(
      podKind,
      (all) => !all.some(({ metadata }) => metadata.name === "on-a"),
    );
    assert.ok(pods.some(({ metadata }) => metadata.name === "on-b"));
    await plane.client.delete(podKind, held.metadata);
    await plane.until(podKind, (all) =>
      all.some(({ metadata, status }) => metadata.name === "held" && status?.phase === "Failed"),
    );
  });
});
