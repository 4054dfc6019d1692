import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { endpointsKind } from "../../src/api/v1/endpoints.kind.ts";
import type { EndpointSubset } from "../../src/api/v1/endpoints.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startEndpointsController } from "../../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startEndpointSliceMirroring } from "../../src/controllers/endpointslicemirroring.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const MIRRORED = "endpointslicemirroring-controller.k8s.io";

function subset(...ips: readonly string[]): EndpointSubset {
  return {
    addresses: ips.map((ip) => ({ ip })),
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

function mirrors(slices: readonly EndpointSlice[], name: string): readonly EndpointSlice[] {
  return slices.filter(
    ({ metadata: { labels } }) =>
      labels?.["kubernetes.io/service-name"] === name &&
      labels["endpointslice.kubernetes.io/managed-by"] === MIRRORED,
  );
}

function addresses(slices: readonly EndpointSlice[], name: string): string {
  return mirrors(slices, name)
    .flatMap(({ endpoints }) => endpoints.flatMap((endpoint) => endpoint.addresses))
    .toSorted()
    .join();
}

async function write(
  plane: ControlPlane,
  name: string,
  subsets: readonly EndpointSubset[],
): Promise<void> {
  await plane.client.create(endpointsKind, { metadata: { name, namespace: "default" }, subsets });
}

async function merge(plane: ControlPlane, name: string, body: unknown): Promise<void> {
  const patch = { kind: "merge", body } as const;
  await plane.client.patch(endpointsKind, { namespace: "default", name }, patch);
}

describe("the mirroring controller", () => {
  it("MIRR-001, MIRR-011: follows a user's Endpoints from their beginning to their end", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceMirroring(plane.deps);
    await plane.client.create(serviceKind, {
      metadata: { name: "db", namespace: "default" },
      spec: { ports: [{ port: 80, protocol: "TCP" }] },
    });
    await write(plane, "db", [subset("192.0.2.1")]);
    const first = await plane.until(
      endpointSliceKind,
      (all) => addresses(all, "db") === "192.0.2.1",
    );
    await merge(plane, "db", { subsets: [subset("192.0.2.1", "192.0.2.2")] });
    const second = await plane.until(
      endpointSliceKind,
      (all) => addresses(all, "db") === "192.0.2.1,192.0.2.2",
    );
    assert.equal(
      mirrors(second, "db")[0]?.metadata.uid,
      mirrors(first, "db")[0]?.metadata.uid,
      "changed in place",
    );
    await plane.remove(endpointsKind, "db");
    await plane.until(endpointSliceKind, (all) => mirrors(all, "db").length === 0);
  });

  it("MIRR-011: a skip label, a selector and the Service's end take the slices away", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceMirroring(plane.deps);
    for (const name of ["skipped", "selecting", "ending"]) {
      await plane.client.create(serviceKind, {
        metadata: { name, namespace: "default" },
        spec: { ports: [{ port: 80, protocol: "TCP" }] },
      });
      await write(plane, name, [subset("192.0.2.1")]);
      await plane.until(endpointSliceKind, (all) => addresses(all, name) === "192.0.2.1");
    }
    const skip = "endpointslice.kubernetes.io/skip-mirror";
    await merge(plane, "skipped", { metadata: { labels: { [skip]: "true" } } });
    await plane.until(endpointSliceKind, (all) => mirrors(all, "skipped").length === 0);
    await merge(plane, "skipped", { metadata: { labels: { [skip]: null } } });
    await plane.until(endpointSliceKind, (all) => addresses(all, "skipped") === "192.0.2.1");

    const ref = { namespace: "default", name: "selecting" };
    const body = { spec: { selector: { app: "x" } } };
    await plane.client.patch(serviceKind, ref, { kind: "merge", body });
    await plane.until(endpointSliceKind, (all) => mirrors(all, "selecting").length === 0);

    await plane.remove(serviceKind, "ending");
    await plane.until(endpointSliceKind, (all) => mirrors(all, "ending").length === 0);
  });

  it("MIRR-011: cleans up after what was deleted while it did not run", async () => {
    await using plane = await startControlPlane();
    const first = startEndpointSliceMirroring(plane.deps);
    await plane.client.create(serviceKind, {
      metadata: { name: "db", namespace: "default" },
      spec: { ports: [{ port: 80, protocol: "TCP" }] },
    });
    await write(plane, "db", [subset("192.0.2.1")]);
    await plane.until(endpointSliceKind, (all) => addresses(all, "db") === "192.0.2.1");
    await first[Symbol.asyncDispose]();
    await plane.remove(endpointsKind, "db");
    const informers = plane.freshInformers();
    await using _second = startEndpointSliceMirroring({ ...plane.deps, informers });
    await plane.until(endpointSliceKind, (all) => mirrors(all, "db").length === 0);
  });

  it("MIRR-013: leaves alone what the controllers make of Services with a selector", async () => {
    await using plane = await startControlPlane();
    await using _endpoints = startEndpointsController(plane.deps);
    await using _slices = startEndpointSliceController(plane.deps);
    await using _mirroring = startEndpointSliceMirroring(plane.deps);
    await plane.node("a");
    await plane.service("web");
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.until(endpointsKind, (all) => all.some(({ subsets = [] }) => subsets.length > 0));
    // What is mirrored after it shows that the loop has passed it by.
    await plane.client.create(serviceKind, {
      metadata: { name: "db", namespace: "default" },
      spec: { ports: [{ port: 80, protocol: "TCP" }] },
    });
    await write(plane, "db", [subset("192.0.2.1")]);
    const all = await plane.until(endpointSliceKind, (now) => addresses(now, "db") === "192.0.2.1");
    assert.equal(mirrors(all, "web").length, 0);
  });

  it("MIRR-009: tells the user what was left out", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceMirroring(plane.deps);
    await plane.client.create(serviceKind, {
      metadata: { name: "db", namespace: "default" },
      spec: { ports: [{ port: 80, protocol: "TCP" }] },
    });
    const many = Array.from(
      { length: 1003 },
      (_, i) => `10.7.${String(i >> 8)}.${String(i & 255)}`,
    );
    await write(plane, "db", [subset(...many)]);
    const events = await plane.until(eventKind, (all) =>
      all.some(({ reason }) => reason === "TooManyAddressesToMirror"),
    );
    const event = events.find(({ reason }) => reason === "TooManyAddressesToMirror");
    assert.equal(event?.type, "Warning");
    assert.equal(event.involvedObject.kind, "Endpoints");
    assert.match(event.message ?? "", /A max of 1000 addresses .* 3 addresses were skipped/);
  });
});
