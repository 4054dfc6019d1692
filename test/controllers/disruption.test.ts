import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replicaSetKind } from "../../src/api/apps/replicaset.kind.ts";
import { StatusError } from "../../src/api/machinery/status.ts";
import { podDisruptionBudgetKind } from "../../src/api/policy/poddisruptionbudget.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { startDisruptionController } from "../../src/controllers/disruption.ts";
import { startReplicaSetController } from "../../src/controllers/replicaset.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const WEB = { name: "web", namespace: "default" };

async function evict(plane: ControlPlane, pod: Pod): Promise<string> {
  const { name, namespace } = pod.metadata;
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
  try {
    await plane.client.createSubresource(podKind, pod.metadata, "eviction", body);
    return "";
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const [cause] = error.status.details?.causes ?? [];
    return `${String(error.code)} ${cause?.message ?? error.message}`;
  }
}

/** Three Pods of a ReplicaSet, ready. */
async function withPods(plane: ControlPlane): Promise<readonly Pod[]> {
  await plane.client.create(replicaSetKind, {
    metadata: WEB,
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { name: "", labels: { app: "web" } },
        spec: { containers: [{ name: "main", image: "web" }] },
      },
    },
  });
  const pods = await plane.until(podKind, (all) => all.length === 3);
  for (const pod of pods) await plane.report(pod, true);
  return pods;
}

describe("PodDisruptionBudgets", () => {
  it("allow evictions while enough Pods are healthy, and no more", async () => {
    await using plane = await startControlPlane();
    await using _sets = startReplicaSetController(plane.deps);
    await using _budgets = startDisruptionController(plane.deps);
    const [first, second] = await withPods(plane);
    assert.ok(first && second);
    const selector = { matchLabels: { app: "web" } };
    await plane.client.create(podDisruptionBudgetKind, {
      metadata: WEB,
      spec: { maxUnavailable: 1, selector },
    });
    const budget = (allowed: number) =>
      plane.until(podDisruptionBudgetKind, ([one]) => one?.status?.disruptionsAllowed === allowed);
    await budget(1);
    assert.equal(await evict(plane, first), "");
    assert.match(
      await evict(plane, second),
      /^429 .* web needs 2 healthy pods and has [23] currently$/,
    );
    // The one that took its place is not ready yet.
    const gone = (pods: readonly Pod[]) =>
      !pods.some(({ metadata }) => metadata.uid === first.metadata.uid);
    const pods = await plane.until(podKind, (all) => gone(all) && all.length === 3);
    await plane.until(podDisruptionBudgetKind, ([one]) => one?.status?.currentHealthy === 2);
    assert.match(await evict(plane, second), /^429 .* needs 2 healthy pods and has 2 currently$/);
    const fresh = pods.find(({ status }) => status?.phase !== "Running");
    assert.ok(fresh);
    await plane.report(fresh, true);
    await budget(1);
    assert.equal(await evict(plane, second), "");
  });

  it("do not hold Pods that do not run, and refuse to be two of one Pod", async () => {
    await using plane = await startControlPlane();
    const spec = { minAvailable: 5, selector: {} };
    await plane.client.create(podDisruptionBudgetKind, { metadata: WEB, spec });
    assert.equal(await evict(plane, await plane.pod("pending")), "");
    const running = await plane.report(await plane.pod("running"), true);
    assert.match(await evict(plane, running), /^429 .* is still being processed by the server\.$/);
    await plane.client.create(podDisruptionBudgetKind, { metadata: { ...WEB, name: "two" }, spec });
    assert.match(await evict(plane, running), /^500 .*more than one PodDisruptionBudget/);
  });
});
