import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { endpointsKind } from "../../src/api/v1/endpoints.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startEndpointsController } from "../../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startControlPlane } from "./control-plane.ts";
import { endpointProblems } from "./endpoint-problems.ts";

/** So many that the controllers work out changed Pods instead of all. */
const PODS = 520;

function readyOf(slices: readonly EndpointSlice[]): ReadonlyMap<string, boolean | undefined> {
  return new Map(
    slices
      .flatMap(({ endpoints }) => endpoints)
      .map(({ targetRef, conditions }) => [targetRef?.name ?? "", conditions.ready]),
  );
}

describe("a Service of many Pods", () => {
  it("EPS-038, EPS-049: has one slice written for a Pod, and the right slices whatever changes in between", async () => {
    await using plane = await startControlPlane();
    const { client, deps } = plane;
    await using _slices = startEndpointSliceController(deps);
    await using _endpoints = startEndpointsController(deps);
    for (const name of ["a", "b"]) {
      await plane.node(name, { labels: { "topology.kubernetes.io/zone": `zone-${name}` } });
    }
    const web = await plane.service("web");
    const pods: Pod[] = [];
    while (pods.length < PODS) {
      const batch = Array.from({ length: 40 }, async (_, i) => {
        const pod = await plane.pod(`p${String(pods.length + i)}`, {
          nodeName: i % 2 === 0 ? "a" : "b",
        });
        return plane.report(pod, true);
      });
      pods.push(...(await Promise.all(batch)));
    }
    const isRight = () => {
      const { informers: all } = deps;
      const state = {
        services: all.of(serviceKind).list(),
        pods: all.of(podKind).list(),
        nodes: all.of(nodeKind).list(),
        slices: all.of(endpointSliceKind).list(),
        endpoints: all.of(endpointsKind).list(),
      };
      return endpointProblems(state, 100).length === 0;
    };
    let writes = 0;
    deps.informers.of(endpointSliceKind).onChange(() => writes++);
    // Whichever of the two comes last.
    const settled = async () => {
      const subscriptions: Disposable[] = [];
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (isRight()) resolve();
        };
        subscriptions.push(
          deps.informers.of(endpointSliceKind).onChange(look),
          deps.informers.of(endpointsKind).onChange(look),
        );
      });
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    };
    const flip = async (i: number, ready: boolean) => {
      const pod = pods[i];
      assert.ok(pod !== undefined);
      await plane.report(pod, ready);
    };
    await settled();
    for (const i of [7, 300, 7]) {
      const before = writes;
      await flip(i, i === 300);
      await flip(i, i !== 300);
      await settled();
      assert.ok(writes - before <= 2, `${String(writes - before)} writes for two changes`);
    }
    const [first, second] = deps.informers.of(endpointSliceKind).list();
    assert.ok(first !== undefined && second !== undefined);
    const labelled = { metadata: { labels: { "topology.kubernetes.io/zone": "other" } } };
    const changes: (() => Promise<unknown>)[] = [
      () => client.patch(nodeKind, { name: "b" }, { kind: "merge", body: labelled }),
      () => flip(11, false),
      () => plane.remove(podKind, "p12"),
      () => flip(13, false),
      () => plane.pod("late", { nodeName: "a" }).then((pod) => plane.report(pod, true)),
      () => flip(14, false),
      () =>
        client.patch(endpointSliceKind, first.metadata, {
          kind: "merge",
          body: { endpoints: first.endpoints.slice(3) },
        }),
      () => flip(15, false),
      () => client.delete(endpointSliceKind, second.metadata),
      () => flip(16, false),
      () =>
        client.patch(serviceKind, web.metadata, {
          kind: "merge",
          body: { spec: { publishNotReadyAddresses: true } },
        }),
      () => flip(11, true),
      () =>
        client.patch(
          podKind,
          { namespace: "default", name: "p17" },
          { kind: "merge", body: { metadata: { labels: { app: "other" } } } },
        ),
      () => flip(18, false),
    ];
    for (const change of changes) {
      await change();
      await settled();
    }
    // And all that may meet another change under way.
    await Promise.all([flip(20, false), plane.remove(podKind, "p21"), flip(22, false)]);
    await flip(20, true);
    const all = await plane.until(endpointSliceKind, (slices) => {
      const ready = readyOf(slices);
      return ready.get("p20") === true && !ready.has("p21") && ready.get("p22") === true;
    });
    await settled();
    assert.equal(readyOf(all).size, PODS - 2);
  });
});
