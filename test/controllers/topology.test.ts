import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import type { Event } from "../../src/api/v1/event.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const ZONE = "topology.kubernetes.io/zone";
const MODE = "service.kubernetes.io/topology-mode";

async function nodes(plane: ControlPlane): Promise<void> {
  for (const zone of ["a", "b"]) {
    await plane.node(zone, { labels: { [ZONE]: zone } });
    await allocatable(plane, zone, "4");
  }
}

async function allocatable(plane: ControlPlane, name: string, cpu: string): Promise<void> {
  const patch = { kind: "merge", body: { status: { allocatable: { cpu } } } } as const;
  await plane.client.patch(nodeKind, { name }, patch, { subresource: "status" });
}

async function annotate(plane: ControlPlane, value: string | null): Promise<void> {
  const body = { metadata: { annotations: { [MODE]: value } } };
  const ref = { namespace: "default", name: "web" };
  await plane.client.patch(serviceKind, ref, { kind: "merge", body });
}

/** Each Pod's zones, as text. */
function hints(slices: readonly EndpointSlice[]): string {
  return slices
    .flatMap(({ endpoints }) => endpoints)
    .filter(({ targetRef }) => targetRef !== undefined)
    .map(({ targetRef, hints: given }) => {
      const zones = (given?.forZones ?? []).map(({ name }) => name);
      return `${targetRef?.name ?? ""}=${zones.join("+")}`;
    })
    .toSorted()
    .join(" ");
}

function news(events: readonly Event[]): readonly string[] {
  return events
    .filter(({ reason = "" }) => reason.startsWith("TopologyAwareHints"))
    .map(({ reason = "", message = "" }) => `${reason}: ${message}`)
    .toSorted();
}

const ENABLED =
  "TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4";
const REMOVED =
  "TopologyAwareHintsDisabled: Topology Aware Hints has been disabled, addressType: IPv4";

describe("the EndpointSlice controller and topology", () => {
  it("TOPO-004, TOPO-012, TOPO-013: hints come and go with the annotation, and each is told once", async () => {
    await using plane = await startControlPlane();
    await nodes(plane);
    await plane.service("web");
    for (const [name, nodeName] of [
      ["p1", "a"],
      ["p2", "b"],
    ] as const) {
      await plane.report(await plane.pod(name, { nodeName }), true);
    }
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1= p2=");
    await annotate(plane, "Auto");
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1=a p2=b");
    await plane.report(await plane.pod("p3", { nodeName: "a" }), true);
    await plane.report(await plane.pod("p4", { nodeName: "b" }), true);
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1=a p2=b p3=a p4=b");
    await annotate(plane, null);
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1= p2= p3= p4=");
    await plane.until(eventKind, (all) => news(all).includes(REMOVED));
    const { items } = await plane.client.list(eventKind, { namespace: "default" });
    assert.ok(news(items).includes(ENABLED));
    const told = items
      .filter(({ reason }) => reason === "TopologyAwareHintsEnabled")
      .reduce((sum, { count = 1 }) => sum + count, 0);
    // Three Pods in two zones have no hints: between one and two times they came.
    assert.ok(told <= 2);
  });

  it("TOPO-014: a Node's CPU takes the hints away and gives them back", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await nodes(plane);
    await plane.service("web");
    await annotate(plane, "Auto");
    for (const [name, nodeName] of [
      ["p1", "a"],
      ["p2", "b"],
    ] as const) {
      await plane.report(await plane.pod(name, { nodeName }), true);
    }
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1=a p2=b");
    await allocatable(plane, "a", "64");
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1= p2=");
    await plane.until(eventKind, (all) =>
      news(all).some((text) => text.includes("without exceeding overload threshold (2 endpoints")),
    );
    await allocatable(plane, "a", "4");
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1=a p2=b");
  });

  it("TOPO-001, NODE-003: trafficDistribution's hints follow the zone of the node", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await nodes(plane);
    await plane.service("web", { trafficDistribution: "PreferClose" });
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.until(endpointSliceKind, (all) => hints(all) === "p1=a");
    const body = { metadata: { labels: { [ZONE]: "moved" } } };
    await plane.client.patch(nodeKind, { name: "a" }, { kind: "merge", body });
    const all = await plane.until(endpointSliceKind, (now) => hints(now) === "p1=moved");
    const zones = all.flatMap(({ endpoints }) => endpoints.map(({ zone }) => zone));
    assert.ok(zones.includes("moved"));
  });
});
