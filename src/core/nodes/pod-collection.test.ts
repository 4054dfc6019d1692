import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { missingNodes, planPodCollection, QUARANTINE_MS } from "./pod-collection.ts";

const T0 = "2025-01-01T00:00:00Z";

function node(name: string, ready: string, taints: NonNullable<Node["spec"]["taints"]> = []): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    spec: { taints },
    status: { conditions: [{ type: "Ready", status: ready }] },
  };
}

function pod(
  name: string,
  nodeName: string,
  phase: "Running" | "Succeeded",
  more: object = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "ns", ...more },
    spec: { containers: [{ name: "c" }], nodeName },
    status: { phase },
  };
}

const deleted = { deletionTimestamp: T0 };
const outOfService = [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }];

describe("planPodCollection()", () => {
  const nodes = new Map(
    [
      node("ok", "True", outOfService),
      node("off", "Unknown", outOfService),
      node("lost", "Unknown"),
    ].map((one) => [one.metadata.name, one]),
  );
  const plan = (
    pods: readonly Pod[],
    missingMs = QUARANTINE_MS,
    terminatedThreshold = 0,
  ): readonly string[] =>
    planPodCollection({
      pods,
      nodes,
      missingSinceMs: new Map([["gone", 0]]),
      nowMs: missingMs,
      terminatedThreshold,
    }).map(({ pod: { metadata }, reason }) => `${metadata.name}: ${reason}`);

  it("NODE-002: takes Pods of nodes that have been gone for a while", () => {
    const pods = [pod("a", "gone", "Running"), pod("b", "ok", "Running"), pod("c", "", "Running")];
    assert.deepEqual(plan(pods), ["a: orphaned"]);
    assert.deepEqual(plan(pods, QUARANTINE_MS - 1), []);
    assert.deepEqual([...missingNodes(pods, nodes)], ["gone"]);
  });

  it("takes Pods that are being deleted and that nobody will end", () => {
    const pods = [
      pod("a", "off", "Running", deleted),
      pod("b", "off", "Running"),
      pod("c", "ok", "Running", deleted),
      pod("d", "lost", "Running", deleted),
      pod("e", "", "Running", deleted),
    ];
    assert.deepEqual(plan(pods), ["a: out-of-service", "e: unscheduled"]);
  });

  it("takes the oldest of those that have ended beyond the threshold", () => {
    const at = (second: number) => ({ creationTimestamp: `2025-01-01T00:00:0${String(second)}Z` });
    const pods = [
      pod("new", "ok", "Succeeded", at(3)),
      pod("old", "ok", "Succeeded", at(1)),
      pod("mid", "ok", "Succeeded", at(2)),
      pod("run", "ok", "Running", at(0)),
    ];
    assert.deepEqual(plan(pods, 0, 1), ["old: terminated", "mid: terminated"]);
    assert.deepEqual(plan(pods, 0, 3), []);
    assert.deepEqual(plan(pods, 0, 0), []);
  });
});
