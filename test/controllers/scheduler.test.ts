import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { startScheduler } from "../../src/controllers/scheduler.ts";
import { startControlPlane } from "./control-plane.ts";

function nodeOf(pods: readonly Pod[], name: string): string | undefined {
  return pods.find(({ metadata }) => metadata.name === name)?.spec.nodeName;
}

function scheduled(pods: readonly Pod[], name: string): string {
  const pod = pods.find(({ metadata }) => metadata.name === name);
  const condition = pod?.status?.conditions?.find(({ type }) => type === "PodScheduled");
  return `${condition?.status ?? ""} ${condition?.reason ?? ""}: ${condition?.message ?? ""}`;
}

describe("the scheduler", () => {
  it("spreads Pods over the nodes that take them", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    for (const name of ["a", "b"]) await plane.node(name);
    await plane.node("cordoned", { spec: { unschedulable: true } });
    for (let i = 0; i < 6; i++) await plane.pod(`p${String(i)}`);
    const pods = await plane.until(
      podKind,
      (all) => all.length === 6 && all.every(({ spec }) => (spec.nodeName ?? "") !== ""),
    );
    const nodes = pods.map(({ spec }) => spec.nodeName ?? "").toSorted();
    assert.deepEqual(nodes, ["a", "a", "a", "b", "b", "b"]);
    assert.match(scheduled(pods, "p0"), /^True/);
  });

  it("says in status and events why no node takes a Pod, and places it once one does", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    await plane.node("a");
    await plane.pod("p1", { nodeSelector: { disk: "fast" } });
    const message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    await plane.until(podKind, (all) => scheduled(all, "p1") === `False Unschedulable: ${message}`);
    await plane.until(eventKind, (all) =>
      all.some((event) => event.reason === "FailedScheduling" && event.message === message),
    );
    const labels = { kind: "merge", body: { metadata: { labels: { disk: "fast" } } } } as const;
    await plane.client.patch(nodeKind, { name: "a" }, labels);
    await plane.until(podKind, (all) => nodeOf(all, "p1") === "a");
  });

  it("HP-001: keeps Pods with one host port apart until it is free", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    await plane.node("a");
    const containers = [
      {
        name: "c",
        image: "none",
        ports: [{ containerPort: 80, hostPort: 8080, protocol: "TCP" as const }],
      },
    ];
    await plane.pod("p1", { containers });
    await plane.until(podKind, (all) => nodeOf(all, "p1") === "a");
    await plane.pod("p2", { containers });
    await plane.until(podKind, (all) => scheduled(all, "p2").includes("free ports"));
    await plane.remove(podKind, "p1");
    await plane.until(podKind, (all) => nodeOf(all, "p2") === "a");
  });

  it("leaves Pods of other schedulers alone", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    await plane.node("a");
    await plane.pod("theirs", { schedulerName: "mine" });
    await plane.pod("ours");
    const pods = await plane.until(podKind, (all) => nodeOf(all, "ours") === "a");
    assert.equal(nodeOf(pods, "theirs") ?? "", "");
  });

  it("waits for scheduling gates, which can be opened but not closed", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    await plane.node("a");
    const gates = [{ name: "example.com/quota" }, { name: "example.com/audit" }];
    const gated = await plane.pod("gated", { schedulingGates: gates });
    const text = "Scheduling is blocked due to non-empty scheduling gates";
    assert.equal(scheduled([gated], "gated"), `False SchedulingGated: ${text}`);
    await plane.pod("free");
    const pods = await plane.until(podKind, (all) => nodeOf(all, "free") === "a");
    assert.equal(nodeOf(pods, "gated") ?? "", "");
    const withGates = (names: readonly string[]) =>
      ({
        kind: "json",
        body: [
          { op: "add", path: "/spec/schedulingGates", value: names.map((name) => ({ name })) },
        ],
      }) as const;
    await assert.rejects(
      plane.client.patch(podKind, gated.metadata, withGates(["example.com/new"])),
      /only deletion is allowed, but found new scheduling gate 'example.com\/new'/,
    );
    await plane.client.patch(podKind, gated.metadata, withGates([]));
    await plane.until(podKind, (all) => nodeOf(all, "gated") === "a");
  });

  it("places Pods of higher priority first", async () => {
    await using plane = await startControlPlane();
    await plane.node("a");
    const room = { status: { allocatable: { pods: "1" } } };
    const patch = { kind: "strategic", body: room } as const;
    await plane.client.patch(nodeKind, { name: "a" }, patch, { subresource: "status" });
    await plane.pod("low");
    await plane.pod("high", { priority: 1000 });
    await using _scheduler = startScheduler(plane.deps);
    const pods = await plane.until(podKind, (all) =>
      scheduled(all, "low").includes("1 Too many pods"),
    );
    assert.equal(nodeOf(pods, "high"), "a");
  });

  it("gives freed room to one Pod after the other of those that wait for it", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    await plane.node("a");
    const allocatable = (cpu: string) =>
      ({ kind: "strategic", body: { status: { allocatable: { cpu } } } }) as const;
    const status = { subresource: "status" };
    await plane.client.patch(nodeKind, { name: "a" }, allocatable("1"), status);
    const containers = [{ name: "c", image: "none", resources: { requests: { cpu: "1" } } }];
    for (const name of ["p1", "p2", "p3", "p4"]) await plane.pod(name, { containers });
    const refused = (all: readonly Pod[]): number =>
      all.filter(({ metadata }) => scheduled(all, metadata.name).includes("1 Insufficient cpu"))
        .length;
    await plane.until(podKind, (all) => refused(all) === 3);
    await plane.client.patch(nodeKind, { name: "a" }, allocatable("4"), status);
    await plane.until(podKind, (all) => all.every(({ spec }) => spec.nodeName === "a"));
  });

  it("places a Pod once those are there that it asks to be near to", async () => {
    await using plane = await startControlPlane();
    await using _scheduler = startScheduler(plane.deps);
    for (const zone of ["a", "b"]) await plane.node(zone, { labels: { zone } });
    const term = { labelSelector: { matchLabels: { app: "db" } }, topologyKey: "zone" };
    const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [term] };
    await plane.pod("follower", { affinity: { podAffinity } });
    await plane.until(podKind, (all) =>
      scheduled(all, "follower").includes("2 node(s) didn't match pod affinity rules"),
    );
    await plane.pod("db", { nodeSelector: { zone: "b" } }, { app: "db" });
    await plane.until(podKind, (all) => nodeOf(all, "follower") === "b");
  });
});
