import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../api/coordination/lease.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { judgeNode, lostCondition, unreadyCondition } from "./health.ts";

const T0 = "2025-01-01T00:00:00Z";
const T1 = "2025-01-01T00:01:00Z";

function node(status?: string, lastHeartbeatTime = T0): Node {
  const conditions =
    status === undefined
      ? []
      : [{ type: "Ready", status, lastHeartbeatTime, reason: "KubeletReady" }];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "a", uid: "1" },
    spec: {},
    status: { conditions },
  };
}

function lease(renewTime: string): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "a", namespace: "kube-node-lease" },
    spec: { renewTime },
  };
}

describe("judgeNode()", () => {
  it("NODE-001: counts the silence by its own clock, from the last change it saw", () => {
    const first = judgeNode(node("True"), lease(T0), undefined, 1_000, 40_000);
    assert.equal(first.leftMs, 40_000);
    const silent = judgeNode(node("True"), lease(T0), first.heartbeat, 31_000, 40_000);
    assert.equal(silent.leftMs, 10_000);
    assert.equal(judgeNode(node("True"), lease(T0), silent.heartbeat, 41_000, 40_000).leftMs, 0);
    const renewed = judgeNode(node("True"), lease(T1), silent.heartbeat, 41_000, 40_000);
    assert.equal(renewed.leftMs, 40_000);
    const reported = judgeNode(node("True", T1), lease(T0), silent.heartbeat, 41_000, 40_000);
    assert.equal(reported.leftMs, 40_000);
  });

  it("is not taken in by the condition that the loop itself writes", () => {
    const { heartbeat } = judgeNode(node("True"), lease(T0), undefined, 0, 40_000);
    const condition = lostCondition(node("True"), T1);
    assert.ok(condition);
    const lost: Node = { ...node(), status: { conditions: [condition] } };
    assert.equal(judgeNode(lost, lease(T0), heartbeat, 50_000, 40_000).leftMs, 0);
  });
});

describe("lostCondition()", () => {
  it("turns Ready into Unknown once", () => {
    const condition = lostCondition(node("True"), T1);
    assert.deepEqual(
      [condition?.status, condition?.reason, condition?.lastTransitionTime],
      ["Unknown", "NodeStatusUnknown", T1],
    );
    assert.equal(lostCondition(node(), T1)?.reason, "NodeStatusNeverUpdated");
    assert.equal(lostCondition(node("Unknown"), T1), undefined);
  });
});

describe("unreadyCondition()", () => {
  it("takes back only a claim of readiness", () => {
    const pod = (status: string): Pod => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [] },
      status: { conditions: [{ type: "Ready", status }] },
    });
    assert.equal(unreadyCondition(pod("True"), T1)?.status, "False");
    assert.equal(unreadyCondition(pod("False"), T1), undefined);
  });
});
