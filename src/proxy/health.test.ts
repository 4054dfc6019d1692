import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node } from "../api/v1/node.ts";
import { isNodeEligible, isProxyHealthy, proxyHealthAnswer } from "./health.ts";

const IDLE = { queuedSinceMs: undefined, appliedMs: 1_000, isNodeEligible: true };

describe("health of the proxy", () => {
  it("HC-009: is good when idle and bad when a change waits too long", () => {
    assert.equal(isProxyHealthy(IDLE, 10_000_000), true);
    assert.equal(isProxyHealthy({ ...IDLE, queuedSinceMs: 0 }, 59_999), true);
    assert.equal(isProxyHealthy({ ...IDLE, queuedSinceMs: 0 }, 60_000), false);
  });

  it("HC-008, HC-011: says when it was last up to date: now while healthy", () => {
    const good = proxyHealthAnswer("/healthz", IDLE, 5_000);
    assert.deepEqual(
      [good.status, JSON.parse(good.body)],
      [
        200,
        {
          lastUpdated: "1970-01-01T00:00:05.000Z",
          currentTime: "1970-01-01T00:00:05.000Z",
          nodeEligible: true,
          healthy: true,
        },
      ],
    );
    const bad = proxyHealthAnswer("/healthz", { ...IDLE, queuedSinceMs: 2_000 }, 90_000);
    assert.deepEqual(
      [bad.status, JSON.parse(bad.body).lastUpdated],
      [503, "1970-01-01T00:00:01.000Z"],
    );
  });

  it("HC-010, NODE-006: /healthz fails on a node that goes, /livez does not", () => {
    const going = { ...IDLE, isNodeEligible: false };
    assert.equal(proxyHealthAnswer("/healthz", going, 5_000).status, 503);
    assert.equal(proxyHealthAnswer("/livez", going, 5_000).status, 200);
    const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "here" }, spec: {} };
    assert.equal(isNodeEligible(undefined), true);
    assert.equal(isNodeEligible(node), true);
    const deleted = {
      ...node,
      metadata: { name: "here", deletionTimestamp: "2026-01-01T00:00:00Z" },
    };
    assert.equal(isNodeEligible(deleted), false);
    const taints = [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" as const }];
    assert.equal(isNodeEligible({ ...node, spec: { taints } }), false);
  });
});
