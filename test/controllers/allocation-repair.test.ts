import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ipAddressKind } from "../../src/api/networking/ipaddress.kind.ts";
import type { IPAddress } from "../../src/api/networking/ipaddress.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startAllocationRepair } from "../../src/controllers/allocation-repair.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const IP = "10.96.0.9";
const named = (all: readonly IPAddress[], name: string) =>
  all.find(({ metadata }) => metadata.name === name);

async function event(plane: ControlPlane, reason: string, object: string): Promise<void> {
  await plane.until(eventKind, (all) =>
    all.some((one) => one.reason === reason && one.involvedObject.name === object),
  );
}

function addressFor(service: string, name: string = IP) {
  return {
    metadata: {
      name,
      labels: {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
      },
    },
    spec: { parentRef: { resource: "services", namespace: "default", name: service } },
  };
}

describe("the repair of allocations", () => {
  it("ALLOC-022: makes the IPAddress of a Service again, and says so", async () => {
    await using plane = await startControlPlane();
    await using _repair = startAllocationRepair(plane.deps, { settleMs: 1 });
    await plane.service("web", { clusterIP: IP });
    const { metadata } = await plane.client.get(ipAddressKind, { name: IP });
    await plane.remove(ipAddressKind, IP);
    const all = await plane.until(ipAddressKind, (objects) => {
      const uid = named(objects, IP)?.metadata.uid;
      return uid !== undefined && uid !== metadata.uid;
    });
    assert.deepEqual(named(all, IP)?.spec, addressFor("web").spec);
    assert.deepEqual(named(all, IP)?.metadata.labels, addressFor("web").metadata.labels);
    await event(plane, "ClusterIPNotAllocated", "web");
  });

  it("ALLOC-022: takes an address back from a Service that is not there", async () => {
    await using plane = await startControlPlane();
    await plane.service("web", { clusterIP: IP });
    await plane.remove(ipAddressKind, IP);
    await plane.client.create(ipAddressKind, addressFor("nobody"));
    await using _repair = startAllocationRepair(plane.deps, { settleMs: 1 });
    await plane.until(ipAddressKind, (all) => named(all, IP)?.spec.parentRef?.name === "web");
    await event(plane, "ClusterIPNotAllocated", "web");
  });

  it("ALLOC-023: takes away an address whose Service is gone for a minute, and no other", async () => {
    await using plane = await startControlPlane();
    await plane.service("web", { clusterIP: IP });
    await plane.client.create(ipAddressKind, addressFor("gone", "10.96.0.20"));
    await plane.client.create(ipAddressKind, {
      metadata: { name: "10.96.0.21" },
      spec: { parentRef: { group: "example.com", resource: "gateways", name: "edge" } },
    });
    // Two minutes later.
    const now = () => Date.now() + 120_000;
    await using _repair = startAllocationRepair({ ...plane.deps, now }, { settleMs: 1 });
    await plane.until(
      ipAddressKind,
      (all) => all.length > 0 && named(all, "10.96.0.20") === undefined,
    );
    await event(plane, "IPAddressNotAllocated", "10.96.0.20");
    const { items } = await plane.client.list(ipAddressKind);
    assert.ok(named(items, IP) !== undefined && named(items, "10.96.0.21") !== undefined);
  });

  it("has nothing to do for Services that come, change and go", async () => {
    await using plane = await startControlPlane();
    await using _repair = startAllocationRepair(plane.deps, { settleMs: 1 });
    for (let i = 0; i < 20; i++) {
      const service = await plane.service(`s-${String(i)}`);
      const patch = { kind: "merge", body: { spec: { type: "NodePort" } } } as const;
      await plane.client.patch(serviceKind, service.metadata, patch);
      if (i % 2 === 0) await plane.remove(serviceKind, service.metadata.name);
    }
    await plane.until(serviceKind, (all) => all.length === 10);
    await plane.until(ipAddressKind, (all) => all.length === 10);
    await plane.deps.events.idle();
    assert.deepEqual((await plane.client.list(eventKind)).items, []);
  });
});
