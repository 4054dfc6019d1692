import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasReason } from "../../src/api/machinery/status.ts";
import { ipAddressKind } from "../../src/api/networking/ipaddress.kind.ts";
import { serviceCidrKind } from "../../src/api/networking/servicecidr.kind.ts";
import type { ServiceCIDR } from "../../src/api/networking/servicecidr.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startServiceCidrController } from "../../src/controllers/servicecidr.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const FINALIZER = "networking.k8s.io/service-cidr-finalizer";

const readyOf = (object: ServiceCIDR | undefined) =>
  object?.status?.conditions?.find(({ type }) => type === "Ready");

/** Resolves when the ServiceCIDR of that name is as asked. */
async function until(
  plane: ControlPlane,
  name: string,
  holds: (object: ServiceCIDR | undefined) => boolean,
): Promise<void> {
  await plane.until(serviceCidrKind, (all) =>
    holds(all.find(({ metadata }) => metadata.name === name)),
  );
}

const isReady = (object: ServiceCIDR | undefined) => readyOf(object)?.status === "True";
const isGone = (object: ServiceCIDR | undefined) => object === undefined;
const isTerminating = (object: ServiceCIDR | undefined) =>
  readyOf(object)?.status === "False" && readyOf(object)?.reason === "Terminating";

async function createRange(plane: ControlPlane, name: string, cidr: string): Promise<void> {
  await plane.client.create(serviceCidrKind, { metadata: { name }, spec: { cidrs: [cidr] } });
  await until(plane, name, isReady);
}

describe("the ServiceCIDR controller", () => {
  it("ALLOC-015, ALLOC-016, ALLOC-018: makes ranges ready, the cluster's own and new ones, which then are used", async () => {
    await using plane = await startControlPlane();
    await using _controller = startServiceCidrController(plane.deps, { graceMs: 0 });
    await until(plane, "kubernetes", isReady);
    await createRange(plane, "more", "10.200.0.0/28");
    const { metadata } = await plane.client.get(serviceCidrKind, { name: "more" });
    assert.deepEqual(metadata.finalizers, [FINALIZER]);
    const service = await plane.service("web", { clusterIP: "10.200.0.9" });
    assert.equal(service.spec.clusterIP, "10.200.0.9");
  });

  it("ALLOC-019: keeps a range while a Service has an address of it", async () => {
    await using plane = await startControlPlane();
    await using _controller = startServiceCidrController(plane.deps, { graceMs: 0 });
    await createRange(plane, "more", "10.200.0.0/28");
    await plane.service("web", { clusterIP: "10.200.0.9" });
    await plane.remove(serviceCidrKind, "more");
    await until(plane, "more", isTerminating);
    // Nothing new comes from it.
    await assert.rejects(plane.service("db", { clusterIP: "10.200.0.8" }), (error) =>
      hasReason(error, "Invalid"),
    );
    await plane.remove(serviceKind, "web");
    await until(plane, "more", isGone);
  });

  it("ALLOC-021: lets a range go when another one covers its addresses", async () => {
    await using plane = await startControlPlane();
    await using _controller = startServiceCidrController(plane.deps, { graceMs: 0 });
    await createRange(plane, "more", "10.200.0.0/28");
    const service = await plane.service("web", { clusterIP: "10.200.0.9" });
    await plane.remove(serviceCidrKind, "more");
    await until(plane, "more", isTerminating);
    await createRange(plane, "wide", "10.200.0.0/24");
    await until(plane, "more", isGone);
    assert.deepEqual(await plane.client.get(serviceKind, service.metadata), service);
    await plane.client.get(ipAddressKind, { name: "10.200.0.9" });
  });

  it("ALLOC-020: sees an address that came while it waited for its grace", async () => {
    await using plane = await startControlPlane();
    // The controller's clock stands until the test moves it on.
    const clock = { ms: Date.now() };
    await using _controller = startServiceCidrController({ ...plane.deps, now: () => clock.ms });
    await createRange(plane, "more", "10.200.0.0/28");
    await plane.remove(serviceCidrKind, "more");
    await until(plane, "more", (object) => object?.metadata.deletionTimestamp !== undefined);
    // Given away by a server that had not seen the deletion.
    await plane.client.create(ipAddressKind, {
      metadata: {
        name: "10.200.0.9",
        labels: { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" },
      },
      spec: { parentRef: { resource: "services", namespace: "default", name: "late" } },
    });
    const patch = { kind: "merge", body: { metadata: { labels: { look: "again" } } } } as const;
    await plane.client.patch(serviceCidrKind, { name: "more" }, patch);
    await until(plane, "more", isTerminating);
    clock.ms += 60_000;
    await plane.remove(ipAddressKind, "10.200.0.9");
    await until(plane, "more", isGone);
  });
});
