import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ObjectRef } from "../../api/machinery/object-key.ts";
import type { IPAddress } from "../../api/networking/ipaddress.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import { ipAddressOf } from "./ip-address.ts";
import { planAddressRepair, planServiceRepair } from "./repair.ts";

const CREATED = "2026-01-01T00:00:00Z";
const CREATED_MS = 1_767_225_600_000;

function service(name: string, spec: Partial<ServiceSpec>): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { type: "ClusterIP", sessionAffinity: "None", ...spec },
  };
}

const web = service("web", { clusterIP: "10.0.0.9", clusterIPs: ["10.0.0.9", "fd00::9"] });

function address(text: string, ref: ObjectRef = web.metadata, more: object = {}): IPAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip);
  const { metadata, ...draft } = ipAddressOf(ip, ref);
  return {
    ...draft,
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: { ...metadata, name: text, creationTimestamp: CREATED, ...more },
  };
}

function repairs(
  of: Service,
  addresses: readonly IPAddress[],
  services: readonly Service[] = [of],
): readonly string[] {
  return planServiceRepair(of, {
    cidrs: ["10.0.0.0/24", "fd00::/112"].flatMap((text) => parseCidr(text) ?? []),
    addressOf: (ip) => addresses.find(({ metadata }) => metadata.name === ip),
    serviceOf: ({ name }) => services.find(({ metadata }) => metadata.name === name),
  }).map(({ act, ip, reason, message }) => `${act} ${ip} ${reason}: ${message}`);
}

describe("planServiceRepair()", () => {
  it("has nothing to do where each address is recorded", () => {
    assert.deepEqual(repairs(web, [address("10.0.0.9"), address("fd00::9")]), []);
    assert.deepEqual(repairs(service("web", { clusterIP: "None", clusterIPs: ["None"] }), []), []);
    assert.deepEqual(repairs(service("web", { type: "ExternalName" }), []), []);
  });

  it("ALLOC-022: records what is not recorded", () => {
    assert.deepEqual(repairs(web, [address("fd00::9")]), [
      "create 10.0.0.9 ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 is not allocated; repairing",
    ]);
    // Leading zeros are decimal, and IPAddresses have canonical names.
    const odd = service("web", { clusterIP: "010.0.0.9", clusterIPs: ["010.0.0.9"] });
    assert.deepEqual(repairs(odd, [address("10.0.0.9")]), []);
  });

  it("ALLOC-022, ALLOC-035: reports what is in no range or no address, and leaves it", () => {
    const moved = service("web", { clusterIP: "10.9.0.9", clusterIPs: ["10.9.0.9"] });
    assert.deepEqual(repairs(moved, []), [
      "report 10.9.0.9 ClusterIPOutOfRange: Cluster IP [IPv4]: 10.9.0.9 is not within any configured Service CIDR; please recreate service",
    ]);
    const broken = service("web", { clusterIP: "ten", clusterIPs: ["ten"] });
    assert.deepEqual(repairs(broken, []), [
      "report ten ClusterIPNotValid: Cluster IP ten is not a valid IP; please recreate service",
    ]);
  });

  it("ALLOC-022: leaves an address to the Service that has it, and takes it from one that has not", () => {
    const single = service("web", { clusterIP: "10.0.0.9", clusterIPs: ["10.0.0.9"] });
    const db = service("db", { clusterIP: "10.0.0.9", clusterIPs: ["10.0.0.9"] });
    const ofDb = [address("10.0.0.9", db.metadata)];
    assert.deepEqual(repairs(single, ofDb, [single, db]), [
      "report 10.0.0.9 ClusterIPAlreadyAllocated: Cluster IP [IPv4]: 10.0.0.9 for Service default/web is already assigned to Service default/db; please recreate service",
    ]);
    const wrong =
      "replace 10.0.0.9 ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 for Service default/web has a wrong reference; repairing";
    assert.deepEqual(repairs(single, ofDb, [single]), [wrong]);
    const other = { ...db, spec: { ...db.spec, clusterIP: "10.0.0.7", clusterIPs: ["10.0.0.7"] } };
    assert.deepEqual(repairs(single, ofDb, [single, other]), [wrong]);
    const foreign = address("10.0.0.9");
    const gateway = { ...foreign, spec: { parentRef: { resource: "gateways", name: "web" } } };
    assert.deepEqual(repairs(single, [gateway]), [wrong]);
  });

  it("ALLOC-011, ALLOC-022: mends labels", () => {
    const bare = address("10.0.0.9", web.metadata, { labels: {} });
    assert.deepEqual(repairs(web, [bare, address("fd00::9")]), [
      "relabel 10.0.0.9 ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 for Service default/web has wrong labels; repairing",
    ]);
  });
});

describe("planAddressRepair()", () => {
  it("ALLOC-023: gives up an address without a Service after 60 seconds", () => {
    assert.deepEqual(planAddressRepair(address("10.0.0.9"), undefined, CREATED_MS + 20_000), {
      kind: "later",
      afterMs: 40_000,
    });
    assert.deepEqual(planAddressRepair(address("10.0.0.9"), undefined, CREATED_MS + 60_000), {
      kind: "delete",
      message: "IPAddress: 10.0.0.9 for Service default/web appears to have leaked: cleaning up",
    });
  });

  it("ALLOC-023: keeps what a Service holds, and gives up what it no longer holds", () => {
    assert.deepEqual(planAddressRepair(address("fd00::9"), web, CREATED_MS), { kind: "keep" });
    assert.deepEqual(planAddressRepair(address("10.0.0.7"), web, CREATED_MS), {
      kind: "delete",
      message: "IPAddress: 10.0.0.7 for Service default/web has a wrong reference, cleaning up",
    });
  });

  it("ALLOC-023: leaves alone what others made, and what is not for a Service", () => {
    const late = CREATED_MS + 600_000;
    const byOthers = address("10.0.0.9", web.metadata, { labels: {} });
    assert.deepEqual(planAddressRepair(byOthers, undefined, late), { kind: "keep" });
    const plain = address("10.0.0.9");
    const gateway = { ...plain, spec: { parentRef: { resource: "gateways", name: "edge" } } };
    assert.deepEqual(planAddressRepair(gateway, undefined, late), { kind: "keep" });
  });
});
