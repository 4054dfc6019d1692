import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PodDisruptionBudget } from "../../api/policy/poddisruptionbudget.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isInBudget, planDisruption } from "./disruption.ts";
import { msOf } from "./pods.ts";

const NOW = "2026-01-01T00:01:00Z";
const NOW_MS = msOf(NOW) ?? 0;

function budget(
  spec: PodDisruptionBudget["spec"],
  status?: Partial<NonNullable<PodDisruptionBudget["status"]>>,
): PodDisruptionBudget {
  const none = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "b", namespace: "ns", generation: 3 },
    spec,
    ...(status === undefined ? {} : { status: { ...none, ...status } }),
  };
}

function pods(count: number, ready = count, owner = "rs"): readonly Pod[] {
  return Array.from({ length: count }, (_, i) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${owner}-${String(i)}`,
      namespace: "ns",
      labels: { app: "a" },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: owner, controller: true },
      ],
    },
    spec: { containers: [] },
    status: { conditions: [{ type: "Ready", status: i < ready ? "True" : "False" }] },
  }));
}

function allowed(
  object: PodDisruptionBudget,
  selected: readonly Pod[],
  wanted: Readonly<Record<string, number>> = { rs: 4 },
): readonly number[] {
  const { status } = planDisruption({
    budget: object,
    pods: selected,
    scaleOf: (uid) => (wanted[uid] === undefined ? undefined : { uid, replicas: wanted[uid] }),
    nowMs: NOW_MS,
  });
  const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = status;
  return [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods];
}

describe("planDisruption()", () => {
  it("counts healthy Pods against those wanted, in numbers and in shares rounded up", () => {
    assert.deepEqual(allowed(budget({ minAvailable: 2 }), pods(3)), [1, 3, 2, 3]);
    assert.deepEqual(allowed(budget({ minAvailable: 5 }), pods(3)), [0, 3, 5, 3]);
    assert.deepEqual(allowed(budget({ minAvailable: "50%" }), pods(4, 3)), [1, 3, 2, 4]);
    assert.deepEqual(allowed(budget({ maxUnavailable: 1 }), pods(4)), [1, 4, 3, 4]);
    assert.deepEqual(allowed(budget({ maxUnavailable: "30%" }), pods(4)), [2, 4, 2, 4]);
    assert.deepEqual(allowed(budget({ maxUnavailable: 1 }), pods(4, 3)), [0, 3, 3, 4]);
    assert.deepEqual(allowed(budget({}), pods(2)), [2, 2, 0, 2]);
  });

  it("counts each that scales once, and no Pods of which nobody knows how many there should be", () => {
    const both = [...pods(2, 2, "old"), ...pods(2, 2, "new")];
    const scaleOf = (uid: string) =>
      ["old", "new"].includes(uid) ? { uid: "d", replicas: 3 } : undefined;
    const object = budget({ maxUnavailable: 1 });
    const plan = planDisruption({ budget: object, pods: both, scaleOf, nowMs: NOW_MS });
    assert.equal(plan.status.expectedPods, 3);
    assert.deepEqual(allowed(object, pods(2, 2, "stranger")), [0, 2, 0, 0]);
  });

  it("counts an evicted Pod as gone until it is, for two minutes", () => {
    const disruptedPods = {
      "rs-0": "2026-01-01T00:00:30Z",
      "rs-1": "2025-12-31T23:58:00Z",
      x: NOW,
    };
    const object = budget({ minAvailable: 1 }, { disruptedPods });
    const { status, againAfterMs } = planDisruption({
      budget: object,
      pods: pods(3),
      scaleOf: () => undefined,
      nowMs: NOW_MS,
    });
    assert.deepEqual(status.disruptedPods, { "rs-0": "2026-01-01T00:00:30Z" });
    assert.deepEqual([status.currentHealthy, status.disruptionsAllowed], [2, 1]);
    assert.equal(againAfterMs, 90_000);
  });

  it("says in a condition whether any Pod may go, and keeps its time while that stays", () => {
    const first = planDisruption({
      budget: budget({ minAvailable: 1 }),
      pods: pods(2),
      scaleOf: () => undefined,
      nowMs: NOW_MS,
    }).status;
    assert.deepEqual(
      first.conditions?.map(({ type, status, reason }) => [type, status, reason]),
      [["DisruptionAllowed", "True", "SufficientPods"]],
    );
    assert.equal(first.observedGeneration, 3);
    const later = planDisruption({
      budget: budget({ minAvailable: 1 }, first),
      pods: pods(2),
      scaleOf: () => undefined,
      nowMs: NOW_MS + 60_000,
    }).status;
    assert.deepEqual(later, first);
  });
});

describe("isInBudget()", () => {
  it("takes all Pods of the namespace for an empty selector, and none without one", () => {
    const [pod] = pods(1);
    assert.ok(pod);
    const cases = [
      [{ selector: {} }, true],
      [{}, false],
      [{ selector: { matchLabels: { app: "a" } } }, true],
      [{ selector: { matchLabels: { app: "b" } } }, false],
    ] as const;
    for (const [spec, expected] of cases) assert.equal(isInBudget(budget(spec), pod), expected);
    const elsewhere = { ...pod, metadata: { ...pod.metadata, namespace: "other" } };
    assert.equal(isInBudget(budget({ selector: {} }), elsewhere), false);
  });
});
