import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { prepareServiceForUpdate } from "../../api/v1/service.strategy.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrFamily, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { holdingsOf, planServiceAllocation } from "./service-allocation.ts";
import type { ServiceAllocation } from "./service-allocation.ts";

const V4 = cidr("10.0.0.0/24");
const V6 = cidr("fd00::/112");
const NODE_PORTS = { first: 30_000, last: 30_099 };

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, text);
  return parsed;
}

function service(spec: Partial<ServiceSpec>): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default" },
    spec: {
      type: "ClusterIP",
      sessionAffinity: "None",
      selector: { app: "web" },
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      ...spec,
    },
  };
}

interface Given {
  readonly cidrs?: readonly Cidr[];
  readonly usedIps?: readonly string[];
  readonly usedPorts?: readonly number[];
  readonly old?: Service;
  readonly random?: number;
}

function plan(spec: Partial<ServiceSpec> | Service, given: Given = {}): ServiceAllocation {
  const held = given.old === undefined ? undefined : holdingsOf(given.old);
  const ips = (given.usedIps ?? []).flatMap((text) => parseIpAddress(text) ?? []);
  return planServiceAllocation({
    service: "metadata" in spec ? spec : service(spec),
    old: given.old,
    families: (given.cidrs ?? [V4]).map((one) => cidrFamily(one)),
    cidrs: given.cidrs ?? [V4],
    nodePortRange: NODE_PORTS,
    usedIps: new Set<IpAddress>([...ips, ...(held?.ips ?? [])]),
    usedPorts: new Set([...(given.usedPorts ?? []), ...(held?.nodePorts ?? [])]),
    random: given.random ?? 0,
  });
}

function planned(
  spec: Partial<ServiceSpec> | Service,
  given: Given = {},
): ServiceAllocation & { kind: "planned" } {
  const result = plan(spec, given);
  assert.ok(result.kind === "planned", JSON.stringify(result));
  // As the API server goes on with it.
  const { old } = given;
  return old === undefined
    ? result
    : { ...result, service: prepareServiceForUpdate(result.service, old) };
}

/** The messages of a refusal, `field: text` as kubectl shows them. */
function refused(spec: Partial<ServiceSpec> | Service, given: Given = {}): readonly string[] {
  const result = plan(spec, given);
  assert.ok(result.kind === "invalid", JSON.stringify(result));
  return result.errors.map((error) => `${error.field}: ${error.message}`);
}

function changed(old: Service, spec: Partial<ServiceSpec>): Service {
  return { ...old, spec: { ...old.spec, ...spec } };
}

const DUAL = [V4, V6];

describe("planServiceAllocation() on create", () => {
  it("ALLOC-001: gives one address of the cluster's first family", () => {
    const { service: made, claims, releases } = planned({});
    assert.deepEqual(made.spec.clusterIPs, ["10.0.0.16"]);
    assert.equal(made.spec.clusterIP, "10.0.0.16");
    assert.deepEqual(made.spec.ipFamilies, ["IPv4"]);
    assert.equal(made.spec.ipFamilyPolicy, "SingleStack");
    assert.deepEqual(claims, { ips: ["10.0.0.16"], nodePorts: [] });
    assert.deepEqual(releases, { ips: [], nodePorts: [] });
  });

  it("ALLOC-002, UPD-004: takes the address asked for by the singular field alone", () => {
    const { service: made, claims } = planned({ clusterIP: "10.0.0.7" });
    assert.deepEqual(made.spec.clusterIPs, ["10.0.0.7"]);
    assert.deepEqual(claims.ips, ["10.0.0.7"]);
  });

  it("ALLOC-002: refuses an address that is held or in no range", () => {
    assert.deepEqual(refused({ clusterIP: "10.0.0.7" }, { usedIps: ["10.0.0.7"] }), [
      'spec.clusterIPs: Invalid value: []string{"10.0.0.7"}: failed to allocate IP 10.0.0.7: provided IP is already allocated',
    ]);
    assert.deepEqual(refused({ clusterIP: "10.1.0.7" }), [
      'spec.clusterIPs: Invalid value: []string{"10.1.0.7"}: failed to allocate IP 10.1.0.7: the provided IP (10.1.0.7) is not in the valid range. The range of valid IPs is 10.0.0.0/24',
    ]);
  });

  it("ALLOC-003: fails when no address is left", () => {
    assert.deepEqual(
      plan({}, { cidrs: [cidr("10.0.0.0/30")], usedIps: ["10.0.0.1", "10.0.0.2"] }),
      {
        kind: "failed",
        message: "failed to allocate a serviceIP: range is full",
      },
    );
  });

  it("ALLOC-004, DUAL-014: takes nothing for headless and ExternalName", () => {
    const headless = planned({ clusterIP: "None" });
    assert.deepEqual(headless.claims, { ips: [], nodePorts: [] });
    assert.deepEqual(headless.service.spec.clusterIPs, ["None"]);
    const external = planned({ type: "ExternalName", externalName: "example.com" });
    assert.deepEqual(external.claims, { ips: [], nodePorts: [] });
    assert.equal(external.service.spec.ipFamilyPolicy, undefined);
    assert.equal(external.service.spec.ipFamilies, undefined);
    assert.equal(external.service.spec.clusterIP, undefined);
  });

  it("UPD-004, VAL-015: refuses the plural without the singular", () => {
    assert.deepEqual(refused({ clusterIPs: ["10.0.0.7"] }), [
      'spec.clusterIPs: Invalid value: []string{"10.0.0.7"}: must be empty when `clusterIP` is not specified',
    ]);
  });

  it("VAL-016, VAL-028: refuses what is no address, and None beside others", () => {
    assert.deepEqual(refused({ clusterIP: "10.0.0" }), [
      'spec.clusterIPs[0]: Invalid value: "10.0.0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]);
    assert.deepEqual(refused({ clusterIP: "None", clusterIPs: ["None", "10.0.0.7"] }), [
      'spec.clusterIPs: Invalid value: []string{"None", "10.0.0.7"}: \'None\' must be the first and only value',
    ]);
  });

  it("ALLOC-027: gives the protocols of one port number one node port", () => {
    const ports = [
      { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
      { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
      { name: "web", port: 80, protocol: "TCP", targetPort: 80 },
    ] as const;
    const { service: made, claims } = planned({ type: "NodePort", ports });
    assert.deepEqual(
      made.spec.ports?.map((port) => port.nodePort),
      [30_016, 30_016, 30_017],
    );
    assert.deepEqual(claims.nodePorts, [30_016, 30_017]);
    const asked = planned({
      type: "NodePort",
      ports: [ports[0], { ...ports[1], nodePort: 30_003 }],
    });
    assert.deepEqual(
      asked.service.spec.ports?.map((port) => port.nodePort),
      [30_003, 30_003],
    );
  });

  it("ALLOC-025: refuses a node port out of the range or held", () => {
    const ports = [{ port: 80, protocol: "TCP", targetPort: 80, nodePort: 31_000 }] as const;
    assert.deepEqual(refused({ type: "NodePort", ports }), [
      "spec.ports[0].nodePort: Invalid value: 31000: provided port is not in the valid range. The range of valid ports is 30000-30099",
    ]);
    const held = [{ ...ports[0], nodePort: 30_001 }];
    assert.deepEqual(refused({ type: "NodePort", ports: held }, { usedPorts: [30_001] }), [
      "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated",
    ]);
  });

  it("ALLOC-029: gives a load balancer that opted out only the node ports it names", () => {
    const ports = [
      { name: "a", port: 80, protocol: "TCP", targetPort: 80 },
      { name: "b", port: 81, protocol: "TCP", targetPort: 81, nodePort: 30_001 },
    ] as const;
    const { service: made } = planned({
      type: "LoadBalancer",
      allocateLoadBalancerNodePorts: false,
      ports,
    });
    assert.deepEqual(
      made.spec.ports?.map((port) => port.nodePort),
      [undefined, 30_001],
    );
  });

  it("ALLOC-031: gives a health-check node port from the same pool, as asked or a free one", () => {
    const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" } as const;
    const { service: made, claims } = planned(local);
    assert.equal(made.spec.healthCheckNodePort, 30_017);
    assert.deepEqual(claims.nodePorts, [30_016, 30_017]);
    assert.equal(
      planned({ ...local, healthCheckNodePort: 30_005 }).service.spec.healthCheckNodePort,
      30_005,
    );
    assert.deepEqual(plan({ ...local, healthCheckNodePort: 30_005 }, { usedPorts: [30_005] }), {
      kind: "failed",
      message:
        "failed to allocate requested HealthCheck NodePort 30005: provided port is already allocated",
    });
  });
});

describe("planServiceAllocation() and IP families", () => {
  it("DUAL-003, DUAL-004: follows the addresses given, else the families, else the cluster", () => {
    const policy = "PreferDualStack";
    assert.deepEqual(planned({ ipFamilyPolicy: policy }, { cidrs: DUAL }).service.spec.clusterIPs, [
      "10.0.0.16",
      "fd00::100",
    ]);
    assert.deepEqual(
      planned({ ipFamilyPolicy: policy, ipFamilies: ["IPv6"] }, { cidrs: DUAL }).service.spec
        .clusterIPs,
      ["fd00::100", "10.0.0.16"],
    );
    const given = planned({ ipFamilyPolicy: policy, clusterIP: "fd00::7" }, { cidrs: DUAL });
    assert.deepEqual(given.service.spec.ipFamilies, ["IPv6", "IPv4"]);
    assert.deepEqual(given.service.spec.clusterIPs, ["fd00::7", "10.0.0.16"]);
    assert.deepEqual(planned({ ipFamilyPolicy: policy }).service.spec.ipFamilies, ["IPv4"]);
    assert.deepEqual(planned({ clusterIP: "fd00::7" }, { cidrs: DUAL }).service.spec.ipFamilies, [
      "IPv6",
    ]);
  });

  it("DUAL-005: refuses RequireDualStack on a cluster of one family", () => {
    assert.deepEqual(refused({ ipFamilyPolicy: "RequireDualStack" }), [
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ]);
  });

  it("DUAL-006: refuses a family that is not configured", () => {
    assert.deepEqual(refused({ ipFamilies: ["IPv6"] }), [
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    ]);
    assert.deepEqual(refused({ clusterIP: "fd00::7" }), [
      'spec.clusterIPs[0]: Invalid value: []string{"fd00::7"}: IPv6 is not configured on this cluster',
    ]);
  });

  it("DUAL-007: refuses two of anything under SingleStack", () => {
    assert.deepEqual(refused({ ipFamilies: ["IPv4", "IPv6"] }, { cidrs: DUAL }), [
      "spec.ipFamilyPolicy: Invalid value: null: must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    ]);
    const two = { clusterIP: "10.0.0.7", clusterIPs: ["10.0.0.7", "fd00::7"] };
    assert.deepEqual(refused({ ...two, ipFamilyPolicy: "SingleStack" }, { cidrs: DUAL }), [
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
    ]);
  });

  it("DUAL-008: an upgrade adds a second address and keeps the first", () => {
    const old = planned({}, { cidrs: DUAL }).service;
    const {
      service: made,
      claims,
      releases,
    } = planned(changed(old, { ipFamilyPolicy: "RequireDualStack" }), { old, cidrs: DUAL });
    assert.deepEqual(made.spec.clusterIPs, ["10.0.0.16", "fd00::100"]);
    assert.deepEqual(claims.ips, ["fd00::100"]);
    assert.deepEqual(releases.ips, []);
  });

  it("DUAL-009: a downgrade releases the second, though the client sends both", () => {
    const old = planned({ ipFamilyPolicy: "PreferDualStack" }, { cidrs: DUAL }).service;
    const { service: made, releases } = planned(changed(old, { ipFamilyPolicy: "SingleStack" }), {
      old,
      cidrs: DUAL,
    });
    assert.deepEqual(made.spec.clusterIPs, ["10.0.0.16"]);
    assert.deepEqual(made.spec.ipFamilies, ["IPv4"]);
    assert.deepEqual(releases.ips, ["fd00::100"]);
  });

  it("DUAL-010: refuses to drop the second without SingleStack", () => {
    const old = planned({ ipFamilyPolicy: "RequireDualStack" }, { cidrs: DUAL }).service;
    const update = changed(old, { clusterIPs: ["10.0.0.16"], ipFamilies: ["IPv4"] });
    assert.deepEqual(refused(update, { old, cidrs: DUAL }), [
      "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary cluster IP",
      "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family",
    ]);
  });

  it("DUAL-011: a cluster that changed its stack changes no PreferDualStack Service", () => {
    const old = planned({ ipFamilyPolicy: "PreferDualStack" }).service;
    const grown = planned(changed(old, { sessionAffinity: "ClientIP" }), { old, cidrs: DUAL });
    assert.deepEqual(grown.service.spec.clusterIPs, ["10.0.0.16"]);
    const dual = planned({ ipFamilyPolicy: "PreferDualStack" }, { cidrs: DUAL }).service;
    const shrunk = planned(changed(dual, { sessionAffinity: "ClientIP" }), { old: dual });
    assert.deepEqual(shrunk.service.spec.clusterIPs, ["10.0.0.16", "fd00::100"]);
    assert.deepEqual(shrunk.releases.ips, []);
  });

  it("DUAL-012, DUAL-013: headless Services have families but no address", () => {
    const withSelector = planned({ clusterIP: "None" }, { cidrs: DUAL }).service.spec;
    assert.deepEqual(withSelector.ipFamilies, ["IPv4"]);
    assert.equal(withSelector.ipFamilyPolicy, "SingleStack");
    const without = planned({ clusterIP: "None", selector: {} }).service.spec;
    assert.deepEqual(without.ipFamilies, ["IPv4", "IPv6"]);
    assert.equal(without.ipFamilyPolicy, "RequireDualStack");
    assert.deepEqual(without.clusterIPs, ["None"]);
  });
});

describe("planServiceAllocation() on update", () => {
  const nodePort = planned({
    type: "NodePort",
    ports: [
      { name: "a", port: 80, protocol: "TCP", targetPort: 80 },
      { name: "b", port: 81, protocol: "TCP", targetPort: 81 },
    ],
  }).service;

  it("UPD-001, DUAL-001: carries over addresses and policy that the body leaves out", () => {
    const old = planned({ ipFamilyPolicy: "PreferDualStack" }, { cidrs: DUAL }).service;
    const {
      service: made,
      claims,
      releases,
    } = planned({ selector: { app: "b" } }, { old, cidrs: DUAL });
    assert.deepEqual(made.spec.clusterIPs, ["10.0.0.16", "fd00::100"]);
    assert.equal(made.spec.ipFamilyPolicy, "PreferDualStack");
    assert.deepEqual(made.spec.ipFamilies, ["IPv4", "IPv6"]);
    assert.deepEqual(
      [claims, releases],
      [
        { ips: [], nodePorts: [] },
        { ips: [], nodePorts: [] },
      ],
    );
  });

  it("UPD-002: carries over node ports by the port's name", () => {
    const { service: made, releases } = planned(
      {
        type: "NodePort",
        ports: [
          { name: "b", port: 90, protocol: "TCP", targetPort: 81 },
          { name: "c", port: 82, protocol: "TCP", targetPort: 81 },
        ],
      },
      { old: nodePort },
    );
    assert.deepEqual(
      made.spec.ports?.map((port) => port.nodePort),
      [30_017, 30_018],
    );
    assert.deepEqual(releases.nodePorts, [30_016]);
  });

  it("UPD-002: does not carry over a node port that another port now names", () => {
    const { service: made } = planned(
      {
        type: "NodePort",
        ports: [
          { name: "a", port: 80, protocol: "TCP", targetPort: 80 },
          { name: "b", port: 81, protocol: "TCP", targetPort: 81, nodePort: 30_016 },
        ],
      },
      { old: nodePort },
    );
    assert.deepEqual(
      made.spec.ports?.map((port) => port.nodePort),
      [30_018, 30_016],
    );
  });

  it("UPD-003: carries over the health-check node port", () => {
    const old = planned({ type: "LoadBalancer", externalTrafficPolicy: "Local" }).service;
    const { service: made, claims } = planned(
      { type: "LoadBalancer", externalTrafficPolicy: "Local" },
      { old },
    );
    assert.equal(made.spec.healthCheckNodePort, old.spec.healthCheckNodePort);
    assert.deepEqual(claims.nodePorts, []);
  });

  it("UPD-005: a client that knows only the singular field changes the plural with it", () => {
    const old = planned({ type: "ExternalName", externalName: "example.com" }).service;
    const made = planned(changed(old, { type: "ClusterIP", clusterIP: "10.0.0.9" }), { old });
    assert.deepEqual(made.service.spec.clusterIPs, ["10.0.0.9"]);
    const cluster = planned({}).service;
    const moved = planned(changed(cluster, { clusterIP: "10.0.0.9" }), { old: cluster });
    // Left for validation, which says that it may not change once set.
    assert.deepEqual(moved.service.spec.clusterIPs, ["10.0.0.9"]);
    assert.deepEqual(moved.claims.ips, []);
  });

  it("UPD-006, UPD-007: turning into ExternalName wipes and releases everything", () => {
    const { service: made, releases } = planned(
      changed(nodePort, { type: "ExternalName", externalName: "example.com" }),
      { old: nodePort },
    );
    const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = made.spec;
    assert.deepEqual(
      [clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy],
      [undefined, undefined, undefined, undefined],
    );
    assert.deepEqual(
      made.spec.ports?.map((port) => port.nodePort),
      [undefined, undefined],
    );
    assert.deepEqual(releases, { ips: ["10.0.0.16"], nodePorts: [30_016, 30_017] });
  });

  it("UPD-008, UPD-009: leaving ExternalName allocates", () => {
    const old = planned({ type: "ExternalName", externalName: "example.com" }).service;
    const { claims } = planned(changed(old, { type: "NodePort" }), { old });
    assert.deepEqual(claims, { ips: ["10.0.0.16"], nodePorts: [30_016] });
  });

  it("UPD-010, UPD-011: NodePort to ClusterIP wipes node ports, but not ones newly asked for", () => {
    const wiped = planned(changed(nodePort, { type: "ClusterIP" }), { old: nodePort });
    assert.deepEqual(
      wiped.service.spec.ports?.map((port) => port.nodePort),
      [undefined, undefined],
    );
    assert.deepEqual(wiped.releases, { ips: [], nodePorts: [30_016, 30_017] });
    const ports = nodePort.spec.ports?.map((port) => ({ ...port, nodePort: 30_050 }));
    const kept = planned(changed(nodePort, { type: "ClusterIP", ports }), { old: nodePort });
    assert.equal(kept.service.spec.ports?.[0]?.nodePort, 30_050);
  });

  it("UPD-013: leaving Local wipes and releases the health-check node port", () => {
    const old = planned({ type: "LoadBalancer", externalTrafficPolicy: "Local" }).service;
    const { service: made, releases } = planned(
      changed(old, { externalTrafficPolicy: "Cluster" }),
      { old },
    );
    assert.equal(made.spec.healthCheckNodePort, undefined);
    assert.deepEqual(releases.nodePorts, [old.spec.healthCheckNodePort]);
  });

  it("UPD-016: NodePort to LoadBalancer keeps address and ports", () => {
    const { service: made, claims } = planned(changed(nodePort, { type: "LoadBalancer" }), {
      old: nodePort,
    });
    assert.deepEqual(made.spec.ports, nodePort.spec.ports);
    assert.deepEqual(claims, { ips: [], nodePorts: [] });
  });

  it("ALLOC-028: two protocols may come to share a node port", () => {
    const shared = nodePort.spec.ports?.map((port, i) => ({
      ...port,
      port: 80,
      nodePort: 30_016,
      protocol: i === 0 ? ("TCP" as const) : ("UDP" as const),
    }));
    const { releases, claims } = planned(changed(nodePort, { ports: shared }), { old: nodePort });
    assert.deepEqual([claims.nodePorts, releases.nodePorts], [[], [30_017]]);
  });

  it("ALLOC-030: opting out of node ports frees none; opting in again gives the missing", () => {
    const old = planned({ type: "LoadBalancer" }).service;
    const out = planned(changed(old, { allocateLoadBalancerNodePorts: false }), { old });
    assert.equal(out.service.spec.ports?.[0]?.nodePort, 30_016);
    assert.deepEqual(out.releases.nodePorts, []);
    const bare = [{ port: 80, protocol: "TCP", targetPort: 80 }] as const;
    const dropped = planned(changed(out.service, { ports: bare }), { old: out.service });
    assert.deepEqual(dropped.releases.nodePorts, [30_016]);
    const back = planned(changed(dropped.service, { allocateLoadBalancerNodePorts: true }), {
      old: dropped.service,
    });
    assert.deepEqual(back.claims.nodePorts, [30_016]);
  });

  it("ALLOC-034: a node port is freed with the last protocol that uses it", () => {
    const both = planned({
      type: "NodePort",
      ports: [
        { name: "u", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "t", port: 53, protocol: "TCP", targetPort: 53 },
      ],
    }).service;
    const one = planned(changed(both, { ports: both.spec.ports?.slice(1) }), { old: both });
    assert.deepEqual(one.releases.nodePorts, []);
    const none = planned(changed(one.service, { type: "ClusterIP" }), { old: one.service });
    assert.deepEqual(none.releases.nodePorts, [30_016]);
  });

  it("ALLOC-035: an address outside every range stays with the Service that has it", () => {
    const old = changed(planned({}).service, { clusterIP: "10.9.0.1", clusterIPs: ["10.9.0.1"] });
    const { service: made, claims, releases } = planned(changed(old, { selector: {} }), { old });
    assert.deepEqual(made.spec.clusterIPs, ["10.9.0.1"]);
    assert.deepEqual([claims.ips, releases.ips], [[], []]);
  });
});

const randomSpec = fc
  .record({
    type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    isLocal: fc.boolean(),
    optOut: fc.boolean(),
    policy: fc.constantFrom("SingleStack", "PreferDualStack", "RequireDualStack", undefined),
    names: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
  })
  .map(
    ({ type, isLocal, optOut, policy, names }): Partial<ServiceSpec> => ({
      type: type as "ClusterIP",
      ...(isLocal ? { externalTrafficPolicy: "Local" } : {}),
      ...(optOut && type === "LoadBalancer" ? { allocateLoadBalancerNodePorts: false } : {}),
      ...(policy === undefined ? {} : { ipFamilyPolicy: policy as "SingleStack" }),
      ports: names.map((name, i) => ({ name, port: 80 + i, protocol: "TCP", targetPort: 80 })),
    }),
  );

describe("planServiceAllocation() laws", () => {
  it("ALLOC-032: over any course of writes nothing is held twice and the pools hold exactly what is used", () => {
    const write = fc.record({
      name: fc.constantFrom("x", "y", "z"),
      spec: fc.option(randomSpec, { nil: undefined }),
      random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 20 }), (writes) => {
        const stored = new Map<string, Service>();
        const usedIps = new Set<IpAddress>();
        const usedPorts = new Set<number>();
        for (const { name, spec, random } of writes) {
          const old = stored.get(name);
          if (spec === undefined) {
            const held = old === undefined ? { ips: [], nodePorts: [] } : holdingsOf(old);
            for (const ip of held.ips) usedIps.delete(ip);
            for (const port of held.nodePorts) usedPorts.delete(port);
            stored.delete(name);
            continue;
          }
          const result = planServiceAllocation({
            service: service(spec),
            old,
            families: ["IPv4", "IPv6"],
            cidrs: DUAL,
            nodePortRange: NODE_PORTS,
            usedIps,
            usedPorts,
            random,
          });
          if (result.kind !== "planned") continue;
          for (const ip of result.claims.ips) assert.ok(!usedIps.has(ip), ip);
          for (const port of result.claims.nodePorts) assert.ok(!usedPorts.has(port));
          stored.set(
            name,
            old === undefined ? result.service : prepareServiceForUpdate(result.service, old),
          );
          for (const ip of result.claims.ips) usedIps.add(ip);
          for (const port of result.claims.nodePorts) usedPorts.add(port);
          for (const ip of result.releases.ips) usedIps.delete(ip);
          for (const port of result.releases.nodePorts) usedPorts.delete(port);
        }
        const held = [...stored.values()].map((object) => holdingsOf(object));
        assert.deepEqual(held.flatMap(({ ips }) => ips).toSorted(), [...usedIps].toSorted());
        assert.deepEqual(
          held.flatMap(({ nodePorts }) => nodePorts).toSorted((a, b) => a - b),
          [...usedPorts].toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it("is idempotent: writing back what was planned claims and releases nothing", () => {
    fc.assert(
      fc.property(randomSpec, (spec) => {
        const { service: made } = planned(spec, { cidrs: DUAL });
        const again = planned(made, { old: made, cidrs: DUAL });
        assert.deepEqual(again.service, made);
        assert.deepEqual(again.claims, { ips: [], nodePorts: [] });
        assert.deepEqual(again.releases, { ips: [], nodePorts: [] });
      }),
    );
  });
});
