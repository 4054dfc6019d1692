import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leaseKind } from "../../src/api/coordination/lease.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import type { Node } from "../../src/api/v1/node.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { hasReason } from "../../src/api/machinery/status.ts";
import { startNodeLifecycleController } from "../../src/controllers/node-lifecycle.ts";
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
});
