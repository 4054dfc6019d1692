import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import { WaitingPods } from "./waiting-pods.ts";

function pod(name: string, spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "ns" },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}

const spread = {
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" },
  ],
};

describe("WaitingPods", () => {
  it("tries one of those that ask the same, and the next when it is placed", () => {
    const waiting = new WaitingPods();
    const [a, b, c] = [pod("a"), pod("b"), pod("c", spread)];
    for (const one of [a, b, c]) waiting.refused(keyOf(one), one, "full", 1);
    assert.deepEqual(waiting.candidates("all"), [keyOf(a), keyOf(c)]);
    assert.deepEqual(waiting.candidates("social"), [keyOf(c)]);
    assert.equal(waiting.removed(keyOf(a)), keyOf(b));
    assert.equal(waiting.removed(keyOf(b)), undefined);
    assert.equal(waiting.size, 1);
  });

  it("knows the answer for a Pod that asks the same of the same cluster", () => {
    const waiting = new WaitingPods();
    const a = pod("a");
    assert.equal(waiting.refusal(a, 1), undefined);
    waiting.refused(keyOf(a), a, "full", 1);
    assert.equal(waiting.refusal(pod("b"), 1), "full");
    assert.equal(waiting.refusal(pod("b"), 2), undefined);
    assert.equal(waiting.refusal(pod("b", { priority: 5 }), 1), undefined);
  });

  it("tells the others of a new reason, and tries another when one asks something else now", () => {
    const waiting = new WaitingPods();
    const [a, b] = [pod("a"), pod("b")];
    for (const one of [a, b]) assert.deepEqual(waiting.refused(keyOf(one), one, "full", 1), []);
    assert.deepEqual(waiting.refused(keyOf(a), a, "tainted", 2), [keyOf(b)]);
    assert.deepEqual(waiting.refused(keyOf(a), pod("a", spread), "tainted", 3), [keyOf(b)]);
  });
});
