import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "../../api/v1/pod.ts";
import { planGarbage } from "./garbage.ts";
import { formatIndexes, parseIndexes } from "./job-counts.ts";
import { planReplicas } from "./replicas.ts";

function pod(
  name: string,
  given: { node?: string; ready?: boolean; phase?: "Pending" | "Running" | "Failed" } = {},
): Pod {
  const { node = "n", ready = true, phase = "Running" } = given;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "web" }, creationTimestamp: "2025-01-01T00:00:00Z" },
    spec: { nodeName: node, containers: [] },
    status: {
      phase,
      conditions: [
        {
          type: "Ready",
          status: ready ? "True" : "False",
          lastTransitionTime: "2025-01-01T00:00:00Z",
        },
      ],
    },
  };
}

const NOW = 1_735_689_604_000; // 2025-01-01T00:00:04Z

function replicas(wanted: number, pods: readonly Pod[], minReadySeconds = 0) {
  return planReplicas({
    wanted,
    minReadySeconds,
    templateLabels: { app: "web" },
    isDeleted: false,
    generation: 1,
    pods,
    oldStatus: undefined,
    nowMs: NOW,
  });
}

describe("planReplicas", () => {
  it("replaces Pods that have ended", () => {
    assert.equal(replicas(2, [pod("a"), pod("b", { phase: "Failed" })]).create, 1);
  });

  it("takes away what serves least first: without a node, not ready", () => {
    const pods = [pod("a"), pod("b", { ready: false }), pod("c", { node: "", phase: "Pending" })];
    const names = replicas(1, pods).delete.map(({ metadata }) => metadata.name);
    assert.deepEqual(names, ["c", "b"]);
  });

  it("counts a Pod as available after minReadySeconds, and says when to look again", () => {
    const { status, againAfterMs } = replicas(1, [pod("a")], 10);
    assert.deepEqual([status.readyReplicas, status.availableReplicas, againAfterMs], [1, 0, 6000]);
  });
});

describe("planGarbage", () => {
  const owner = { apiVersion: "v1", kind: "X", name: "o", uid: "1" };
  const child = { ...pod("c"), metadata: { name: "c", uid: "2", ownerReferences: [owner] } };
  const plan = (ownerOf: "gone" | "unknown") =>
    planGarbage({ object: child, ownerOf: () => ({ kind: ownerOf }), dependents: [] });

  it("deletes what has no owner left, and leaves alone what it cannot judge", () => {
    assert.deepEqual(plan("gone"), {
      kind: "delete",
      policy: "Background",
      isCircular: false,
    });
    assert.deepEqual(plan("unknown"), { kind: "nothing" });
  });

  it("holds a foreground deletion until nothing blocks it", () => {
    const metadata = {
      name: "o",
      uid: "1",
      deletionTimestamp: "2025-01-01T00:00:00Z",
      finalizers: ["foregroundDeletion"],
    };
    const object = { apiVersion: "v1", kind: "X", metadata };
    const blocking = {
      ...child,
      metadata: { ...child.metadata, ownerReferences: [{ ...owner, blockOwnerDeletion: true }] },
    };
    const ownerOf = () => ({ kind: "unknown" }) as const;
    const held = planGarbage({ object, ownerOf, dependents: [blocking] });
    assert.deepEqual(held, { kind: "foreground", delete: [blocking], isDone: false });
    const free = planGarbage({ object, ownerOf, dependents: [child] });
    assert.deepEqual(free, { kind: "foreground", delete: [child], isDone: true });
  });
});

describe("formatIndexes", () => {
  it("makes ranges of three and more", () => {
    assert.equal(formatIndexes([7, 1, 3, 4, 5, 9, 10]), "1,3-5,7,9,10");
    assert.deepEqual(parseIndexes("1,3-5,7,9,10"), [1, 3, 4, 5, 7, 9, 10]);
  });
});
