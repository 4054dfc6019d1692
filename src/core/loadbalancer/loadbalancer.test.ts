import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Node } from "../../api/v1/node.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { planPoolAddresses } from "./pool.ts";
import type { PoolObserved, PoolPlan } from "./pool.ts";
import {
  isLoadBalancerNode,
  LOAD_BALANCER_FINALIZER,
  loadBalancerFingerprint,
  needsLoadBalancerCleanup,
  wantsLoadBalancer,
} from "./wants.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, text);
  return parsed;
}
function ips(...texts: readonly string[]): readonly IpAddress[] {
  return texts.flatMap((text) => parseIpAddress(text) ?? []);
}

function service(spec: Partial<ServiceSpec> = {}, addresses: readonly string[] = []): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns" },
    spec: { type: "LoadBalancer", sessionAffinity: "None", ipFamilies: ["IPv4"], ...spec },
    status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
  };
}

function plan(observed: Partial<PoolObserved>): PoolPlan {
  return planPoolAddresses({
    service: service(),
    pools: [cidr("192.0.2.0/29")],
    usedByOthers: new Set(),
    held: [],
    random: 0,
    ...observed,
  });
}

describe("planPoolAddresses()", () => {
  it("gives a free address of each family that has a pool", () => {
    assert.deepEqual(plan({}), { kind: "assigned", ips: ["192.0.2.1"] });
    const dual = service({ ipFamilies: ["IPv6", "IPv4"] });
    assert.deepEqual(plan({ service: dual }), { kind: "assigned", ips: ["192.0.2.1"] });
    assert.deepEqual(plan({ service: dual, pools: [cidr("192.0.2.0/29"), cidr("fd00::/125")] }), {
      kind: "assigned",
      ips: ["fd00::1", "192.0.2.1"],
    });
    const none = plan({ service: service({ ipFamilies: ["IPv6"] }) });
    assert.deepEqual(none, { kind: "unavailable", why: "there is no pool of IPv6 addresses" });
  });

  it("keeps the address of the status or what it holds, unless another Service has it", () => {
    const kept = service({}, ["192.0.2.5"]);
    assert.deepEqual(plan({ service: kept }), { kind: "assigned", ips: ["192.0.2.5"] });
    assert.deepEqual(plan({ held: ips("192.0.2.4") }), { kind: "assigned", ips: ["192.0.2.4"] });
    const contested = plan({ service: kept, usedByOthers: new Set(ips("192.0.2.5")) });
    assert.deepEqual(contested, { kind: "assigned", ips: ["192.0.2.1"] });
    const foreign = service({}, ["198.51.100.1"]);
    assert.deepEqual(plan({ service: foreign }), { kind: "assigned", ips: ["192.0.2.1"] });
  });

  it("gives the address asked for or none", () => {
    const asking = (loadBalancerIP: string): Service => service({ loadBalancerIP }, ["192.0.2.5"]);
    assert.deepEqual(plan({ service: asking("192.0.2.3") }), {
      kind: "assigned",
      ips: ["192.0.2.3"],
    });
    const refusals: readonly (readonly [string, RegExp])[] = [
      ["192.0.2.2", /another Service has/],
      ["10.0.0.1", /not in 192\.0\.2\.0\/29/],
      ["192.0.2.0", /first or last/],
      ["nonsense", /no address/],
    ];
    for (const [text, why] of refusals) {
      const refused = plan({ service: asking(text), usedByOthers: new Set(ips("192.0.2.2")) });
      assert.ok(refused.kind === "unavailable" && why.test(refused.why), text);
    }
  });

  it("never gives what another has", () => {
    fc.assert(
      fc.property(
        fc.subarray(["1", "2", "3", "4", "5", "6"]),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (taken, random) => {
          const used = new Set(ips(...taken.map((last) => `192.0.2.${last}`)));
          const result = plan({ usedByOthers: used, random });
          if (used.size === 6) assert.equal(result.kind, "unavailable");
          else assert.ok(result.kind === "assigned" && result.ips.every((ip) => !used.has(ip)));
        },
      ),
    );
  });
});

describe("who gets a load balancer", () => {
  it("LB-001, LB-002: type LoadBalancer of exactly the class", () => {
    assert.ok(wantsLoadBalancer(service(), undefined));
    assert.ok(!wantsLoadBalancer(service({ type: "NodePort" }), undefined));
    assert.ok(!wantsLoadBalancer(service({ loadBalancerClass: "example.com/a" }), undefined));
    assert.ok(wantsLoadBalancer(service({ loadBalancerClass: "example.com/a" }), "example.com/a"));
    assert.ok(!wantsLoadBalancer(service(), "example.com/a"));
  });

  it("LB-008: cleanup needs the finalizer and an end of the wish", () => {
    const held = { ...service().metadata, finalizers: [LOAD_BALANCER_FINALIZER] };
    const leaving = { ...held, deletionTimestamp: "2025-01-01T00:00:00Z" };
    assert.ok(!needsLoadBalancerCleanup({ ...service(), metadata: held }));
    assert.ok(needsLoadBalancerCleanup({ ...service(), metadata: leaving }));
    assert.ok(needsLoadBalancerCleanup({ ...service({ type: "ClusterIP" }), metadata: held }));
    assert.ok(!needsLoadBalancerCleanup(service({ type: "ClusterIP" })));
  });

  it("LB-010: labels and status make no difference, what is balanced does", () => {
    const base = service();
    const same: Service = {
      ...service({}, ["192.0.2.1"]),
      metadata: { ...base.metadata, labels: { a: "b" } },
    };
    assert.equal(loadBalancerFingerprint(same), loadBalancerFingerprint(base));
    const others: readonly Partial<ServiceSpec>[] = [
      { ports: [{ port: 80, protocol: "TCP" }] },
      { sessionAffinity: "ClientIP" },
      { loadBalancerIP: "192.0.2.1" },
      { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      { externalTrafficPolicy: "Local" },
      { ipFamilies: ["IPv4", "IPv6"] },
    ];
    for (const other of others) {
      assert.notEqual(loadBalancerFingerprint(service(other)), loadBalancerFingerprint(base));
    }
  });

  it("LB-012, LB-013: nodes that are excluded, leaving or tainted take no traffic", () => {
    const node = (labels: Record<string, string>, more: Partial<Node> = {}): Node => ({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "a", labels },
      spec: {},
      ...more,
    });
    const label = "node.kubernetes.io/exclude-from-external-load-balancers";
    assert.ok(isLoadBalancerNode(node({})));
    assert.ok(isLoadBalancerNode(node({ [label]: "false" })));
    for (const text of ["true", "", "yes"]) assert.ok(!isLoadBalancerNode(node({ [label]: text })));
    const taints = [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }];
    assert.ok(!isLoadBalancerNode(node({}, { spec: { taints } })));
    const metadata = { name: "a", deletionTimestamp: "2025-01-01T00:00:00Z" };
    assert.ok(!isLoadBalancerNode(node({}, { metadata })));
  });
});
