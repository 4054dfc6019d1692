import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServiceSpec } from "../../api/v1/service.ts";
import { HERE, ip, outcome, packet, port, service, slice } from "./fixtures.test.ts";
import { frontendKey } from "./frontend.ts";
import type { ProxyNode } from "./service-part.ts";
import { forwardingTable } from "./table.ts";
import type { ForwardingTable } from "./table.ts";

const POD = "10.244.9.9";
const OUTSIDE = "203.0.113.7";
const CLUSTER_IP = "10.96.0.1";
const NODE = "192.168.1.1";

function tableOf(
  spec: Partial<ServiceSpec>,
  endpoints: readonly string[],
  node: ProxyNode = HERE,
): ForwardingTable {
  return forwardingTable({ services: [service(spec)], slices: [slice(endpoints)], node });
}

const keysOf = (table: ForwardingTable): readonly string[] => table.frontends.map(frontendKey);

describe("which Services and slices count", () => {
  const services: readonly [string, Parameters<typeof service>][] = [
    ["PROXY-001: an ExternalName Service", [{ type: "ExternalName", externalName: "x.example" }]],
    ["PROXY-001: a headless Service", [{ clusterIP: "None", clusterIPs: ["None"] }]],
    ["PROXY-001: a Service without cluster IP", [{ clusterIP: "", clusterIPs: [] }]],
    [
      "PROXY-002: a Service of another proxy",
      [{}, { labels: { "service.kubernetes.io/service-proxy-name": "" } }],
    ],
    [
      "PROXY-003: a Service labelled headless",
      [{}, { labels: { "service.kubernetes.io/headless": "" } }],
    ],
  ];
  for (const [name, given] of services) {
    it(`${name} has no frontend`, () => {
      const table = forwardingTable({
        services: [service(...given)],
        slices: [slice(["10.244.0.1 ready"])],
        node: HERE,
      });
      assert.deepEqual(table.frontends, []);
    });
  }

  const slices: readonly [string, Parameters<typeof slice>[1]][] = [
    [
      "PROXY-004: labelled headless",
      { metadata: { name: "s", labels: { "service.kubernetes.io/headless": "" } } },
    ],
    [
      "PROXY-004: of another proxy",
      { metadata: { name: "s", labels: { "service.kubernetes.io/service-proxy-name": "x" } } },
    ],
    [
      "PROXY-005: without a Service",
      { metadata: { name: "s", labels: { "kubernetes.io/service-name": "" } } },
    ],
    ["PROXY-005: of type FQDN", { addressType: "FQDN" }],
    [
      "PROXY-006: with a port of another name",
      { ports: [{ name: "other", protocol: "TCP", port: 1 }] },
    ],
    ["PROXY-006: with a port without name", { ports: [{ protocol: "TCP", port: 1 }] }],
    ["PROXY-006: with a port without number", { ports: [{ name: "http", protocol: "TCP" }] }],
    [
      "PROXY-029: with a port of another protocol",
      { ports: [{ name: "http", protocol: "UDP", port: 1 }] },
    ],
    ["of another namespace", { metadata: { name: "s", namespace: "other" } }],
  ];
  for (const [name, over] of slices) {
    it(`ignores a slice ${name}`, () => {
      const table = forwardingTable({
        services: [service()],
        slices: [slice(["10.244.0.1 ready"], over)],
        node: HERE,
      });
      assert.equal(outcome(table, packet(POD, CLUSTER_IP)), "reject NoEndpoints");
    });
  }

  it("PROXY-007: takes only the first address of an endpoint", () => {
    const two = slice([]);
    const table = forwardingTable({
      services: [service()],
      slices: [
        { ...two, endpoints: [{ addresses: ["10.244.0.1", "10.244.0.2"], conditions: {} }] },
      ],
      node: HERE,
    });
    // PROXY-008: conditions that are not set read as ready.
    assert.equal(outcome(table, packet(POD, CLUSTER_IP)), "10.244.0.1");
  });

  it("PROXY-009: an endpoint in two slices counts once, and the ready copy counts", () => {
    const slices = [
      slice(["10.244.0.1 unready @here"]),
      slice(["10.244.0.1 ready", "10.244.0.2 ready"]),
    ];
    for (const order of [slices, slices.toReversed()]) {
      const table = forwardingTable({ services: [service()], slices: order, node: HERE });
      const backends = table.frontends[0]?.target.cluster.map((each) => each.address);
      assert.deepEqual(backends, ["10.244.0.1", "10.244.0.2"]);
    }
  });

  it("PROXY-010: only an endpoint that names this node is local", () => {
    const table = tableOf({ internalTrafficPolicy: "Local" }, [
      "10.244.0.1 ready @here",
      "10.244.0.2 ready @there",
      "10.244.0.3 ready",
    ]);
    assert.equal(outcome(table, packet(POD, CLUSTER_IP)), "10.244.0.1");
  });

  it("PROXY-031: ports of one name may differ between slices", () => {
    const other = slice(["10.244.0.2 ready"], {
      ports: [{ name: "http", protocol: "TCP", port: 9090 }],
    });
    const table = forwardingTable({
      services: [service()],
      slices: [slice(["10.244.0.1 ready"]), other],
      node: HERE,
    });
    assert.deepEqual(
      table.frontends[0]?.target.cluster.map((each) => each.port),
      [8080, 9090],
    );
  });
});

describe("who takes traffic", () => {
  const cluster: readonly [string, readonly string[], string][] = [
    [
      "PROXY-020: every ready endpoint",
      ["10.244.0.1 ready", "10.244.0.2 ready"],
      "10.244.0.1 10.244.0.2",
    ],
    ["PROXY-024: nobody without endpoints", [], "reject NoEndpoints"],
    [
      "PROXY-043: ready ones as long as there is one",
      ["10.244.0.1 ready", "10.244.0.2 ending"],
      "10.244.0.1",
    ],
    [
      "PROXY-040: ending ones when none is ready",
      ["10.244.0.1 unready", "10.244.0.2 ending"],
      "10.244.0.2",
    ],
    ["PROXY-044: never an unready one", ["10.244.0.1 unready"], "reject NoEndpoints"],
    ["PROXY-045: never one that ends without serving", ["10.244.0.1 dead"], "reject NoEndpoints"],
    [
      "PROXY-041: ending ones whatever their hints",
      ["10.244.0.1 ending @there zone:b", "10.244.0.2 ending @here zone:a"],
      "10.244.0.1 10.244.0.2",
    ],
  ];
  for (const [name, endpoints, expected] of cluster) {
    it(`policy Cluster: ${name}`, () => {
      assert.equal(outcome(tableOf({}, endpoints), packet(POD, CLUSTER_IP)), expected);
    });
  }

  const local: readonly [string, readonly string[], string][] = [
    [
      "ITP-001: ready ones of this node",
      ["10.244.0.1 ready @here", "10.244.0.2 ready @there"],
      "10.244.0.1",
    ],
    [
      "ITP-002: dropped when all are elsewhere",
      ["10.244.0.2 ready @there"],
      "drop NoLocalEndpoints",
    ],
    [
      "PROXY-048: dropped when one elsewhere is ending",
      ["10.244.0.2 ending @there"],
      "drop NoLocalEndpoints",
    ],
    ["ITP-003: refused when there are none", ["10.244.0.2 unready @there"], "reject NoEndpoints"],
    [
      "ITP-006, PROXY-042: ending ones of this node though ready ones are elsewhere",
      ["10.244.0.1 ending @here", "10.244.0.2 ready @there"],
      "10.244.0.1",
    ],
    [
      "PROXY-047: hints do not count",
      ["10.244.0.1 ready @here zone:b", "10.244.0.2 ready @there zone:a"],
      "10.244.0.1",
    ],
  ];
  for (const [name, endpoints, expected] of local) {
    it(`policy Local: ${name}`, () => {
      const table = tableOf({ internalTrafficPolicy: "Local" }, endpoints);
      assert.equal(outcome(table, packet(POD, CLUSTER_IP)), expected);
    });
  }

  const hints: readonly [string, readonly string[], string][] = [
    [
      "TOPO-020: by node when all have node hints",
      ["10.244.0.1 ready node:here zone:a", "10.244.0.2 ready node:there zone:a"],
      "10.244.0.1",
    ],
    [
      "TOPO-027: by zone when no node hint names this node",
      ["10.244.0.1 ready node:x zone:a", "10.244.0.2 ready node:y zone:b"],
      "10.244.0.1",
    ],
    ["TOPO-021: by zone", ["10.244.0.1 ready zone:a", "10.244.0.2 ready zone:b"], "10.244.0.1"],
    [
      "TOPO-022: not at all when one has none",
      ["10.244.0.1 ready zone:a", "10.244.0.2 ready"],
      "10.244.0.1 10.244.0.2",
    ],
    [
      "TOPO-023: all when none is for this zone",
      ["10.244.0.1 ready zone:b", "10.244.0.2 ready zone:c"],
      "10.244.0.1 10.244.0.2",
    ],
    [
      "TOPO-026: an unready one of this zone does not keep traffic",
      ["10.244.0.1 unready zone:a", "10.244.0.2 ready zone:b"],
      "10.244.0.2",
    ],
  ];
  for (const [name, endpoints, expected] of hints) {
    it(`hints: ${name}`, () => {
      assert.equal(outcome(tableOf({}, endpoints), packet(POD, CLUSTER_IP)), expected);
    });
  }

  it("TOPO-023: a node without zone uses all", () => {
    const table = tableOf({}, ["10.244.0.1 ready zone:a", "10.244.0.2 ready zone:b"], {
      ...HERE,
      zone: undefined,
    });
    assert.equal(outcome(table, packet(POD, CLUSTER_IP)), "10.244.0.1 10.244.0.2");
  });
});

describe("node ports, external and load-balancer addresses", () => {
  const external: Partial<ServiceSpec> = {
    type: "LoadBalancer",
    ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 30080 }],
    externalIPs: ["198.51.100.1"],
  };
  const endpoints = ["10.244.0.1 ready @here", "10.244.0.2 ready @there"];
  const full = (
    spec: Partial<ServiceSpec> = {},
    lines: readonly string[] = endpoints,
  ): ForwardingTable =>
    forwardingTable({
      services: [service({ ...external, ...spec }, {}, [{ ip: "198.51.100.2" }])],
      slices: [slice(lines)],
      node: HERE,
    });
  const nodePort = (source: string) => packet(source, NODE, { port: port(30080) });

  it("NP-002, EXT-001, LBIP-001: each is a frontend", () => {
    assert.deepEqual(keysOf(full()), [
      "TCP/10.96.0.1:80",
      "TCP/192.168.1.1:30080",
      "TCP/198.51.100.1:80",
      "TCP/198.51.100.2:80",
    ]);
  });

  it("NP-010: a node port is not served on the cluster IP", () => {
    const result = outcome(full(), packet(POD, CLUSTER_IP, { port: port(30080) }));
    assert.equal(result, "reject NoSuchPort");
  });

  it("LBIP-002, LBIP-003: neither ipMode Proxy nor a host name is a frontend", () => {
    const table = forwardingTable({
      services: [
        service(external, {}, [
          { ip: "198.51.100.2", ipMode: "Proxy" },
          { hostname: "lb.example" },
        ]),
      ],
      slices: [],
      node: HERE,
    });
    assert.equal(outcome(table, packet(POD, "198.51.100.2")), "notOurs");
  });

  it("EXT-003: an address of a family that the Service has no cluster IP of is ignored", () => {
    const table = full({ externalIPs: ["2001:db8::1"] });
    assert.equal(outcome(table, packet("2001:db8::9", "2001:db8::1")), "notOurs");
  });

  it("NP-005, NP-006: externalTrafficPolicy Local keeps outside traffic on this node or drops it", () => {
    const local = { externalTrafficPolicy: "Local" } as const;
    assert.equal(outcome(full(local), nodePort(OUTSIDE)), "10.244.0.1");
    assert.equal(
      outcome(full(local, ["10.244.0.2 ready @there"]), nodePort(OUTSIDE)),
      "drop NoLocalEndpoints",
    );
    assert.equal(outcome(full(local, []), nodePort(OUTSIDE)), "reject NoEndpoints");
  });

  it("NP-007, EXT-002: for Pods and the node externalTrafficPolicy Local is Cluster", () => {
    const table = full({ externalTrafficPolicy: "Local" });
    assert.equal(outcome(table, nodePort(POD)), "10.244.0.1 10.244.0.2");
    assert.equal(outcome(table, packet(NODE, "198.51.100.1")), "10.244.0.1 10.244.0.2");
    assert.equal(outcome(table, packet(OUTSIDE, "198.51.100.1")), "10.244.0.1");
  });

  it("ITP-005: internalTrafficPolicy concerns the cluster IP alone", () => {
    const table = full({ internalTrafficPolicy: "Local" });
    assert.equal(outcome(table, packet(POD, CLUSTER_IP)), "10.244.0.1");
    assert.equal(outcome(table, nodePort(POD)), "10.244.0.1 10.244.0.2");
  });

  it("LBIP-005: source ranges guard the load-balancer address only", () => {
    const table = full({ loadBalancerSourceRanges: ["203.0.113.0/24"] });
    assert.equal(outcome(table, packet(OUTSIDE, "198.51.100.2")), "10.244.0.1 10.244.0.2");
    assert.equal(outcome(table, packet("192.0.2.1", "198.51.100.2")), "drop SourceNotAllowed");
    assert.equal(outcome(table, packet("192.0.2.1", "198.51.100.1")), "10.244.0.1 10.244.0.2");
    assert.equal(outcome(table, nodePort("192.0.2.1")), "10.244.0.1 10.244.0.2");
  });

  it("LBIP-006: ranges of the other family do not close an address", () => {
    const table = full({ loadBalancerSourceRanges: ["2001:db8::/32"] });
    assert.equal(outcome(table, packet(OUTSIDE, "198.51.100.2")), "10.244.0.1 10.244.0.2");
  });

  it("LBIP-007: with the node let in, the address itself is let in", () => {
    const inside = full({ loadBalancerSourceRanges: ["192.168.0.0/16"] });
    const outside = full({ loadBalancerSourceRanges: ["203.0.113.0/24"] });
    const fromItself = packet("198.51.100.2", "198.51.100.2");
    assert.equal(outcome(inside, fromItself), "10.244.0.1 10.244.0.2");
    assert.equal(outcome(outside, fromItself), "drop SourceNotAllowed");
  });

  it("HC-001, HC-005: a health check counts distinct ready addresses of this node", () => {
    const table = full({ externalTrafficPolicy: "Local", healthCheckNodePort: 31000 }, [
      "10.244.0.1 ready @here",
      "10.244.0.3 ending @here",
      "10.244.0.4 unready @here",
      "10.244.0.2 ready @there",
    ]);
    assert.deepEqual(table.healthChecks, [
      { service: "default/web", port: 31000, localEndpoints: 1 },
    ]);
    assert.deepEqual(full({ healthCheckNodePort: 31000 }).healthChecks, []);
  });
});

describe("claims of one address", () => {
  const victim = service({ clusterIP: "10.96.0.1" }, { name: "victim" });
  const thief = service(
    { clusterIP: "10.96.0.2", externalIPs: ["10.96.0.1", "198.51.100.9"] },
    { name: "a-thief", creationTimestamp: "2025-01-01T00:00:00Z" },
  );
  const later = service(
    { clusterIP: "10.96.0.3", externalIPs: ["198.51.100.9"] },
    { name: "a", creationTimestamp: "2026-02-01T00:00:00Z" },
  );

  it("PROXY-014: a cluster IP cannot be taken over, and of two external IPs the older is served", () => {
    const expected = [
      { frontend: "TCP/10.96.0.1:80", winner: "default/victim", losers: ["default/a-thief"] },
      { frontend: "TCP/198.51.100.9:80", winner: "default/a-thief", losers: ["default/a"] },
    ];
    for (const services of [
      [victim, thief, later],
      [later, thief, victim],
    ]) {
      const table = forwardingTable({ services, slices: [], node: HERE });
      assert.deepEqual(table.conflicts, expected);
      const owner = table.frontends.find((each) => each.address === "10.96.0.1");
      assert.equal(owner?.target.service, "default/victim");
    }
  });

  it("PROXY-026: a cluster IP's other ports are refused, other addresses are not ours", () => {
    const table = forwardingTable({ services: [victim], slices: [], node: HERE });
    const other = packet(POD, "10.96.0.1", { port: port(81) });
    assert.equal(outcome(table, other), "reject NoSuchPort");
    assert.equal(outcome(table, packet(POD, "10.96.0.77")), "notOurs");
  });

  it("DUAL-018: each family of a Service has the endpoints of its own", () => {
    const dual = service({ clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "fd00::1"] });
    const v6 = slice(["fd01::1 ready"], { addressType: "IPv6" });
    const table = forwardingTable({
      services: [dual],
      slices: [slice(["10.244.0.1 ready"]), v6],
      node: HERE,
    });
    assert.equal(outcome(table, packet(POD, "10.96.0.1")), "10.244.0.1");
    assert.equal(outcome(table, packet("fd02::1", "fd00::1")), "fd01::1");
  });

  it("DUAL-020: a node port answers in both families, each with its own endpoints", () => {
    const ports = [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_080 }] as const;
    const clusterIPs = ["10.96.0.1", "fd00::1"];
    const dual = service({ type: "NodePort", clusterIP: "10.96.0.1", clusterIPs, ports });
    const node = { ...HERE, nodePortAddresses: [ip("192.168.1.1"), ip("fd01:1::1")] };
    const v6 = slice(["fd01::1 ready"], { addressType: "IPv6" });
    const slices = [slice(["10.244.0.1 ready"]), v6];
    const table = forwardingTable({ services: [dual], slices, node });
    const at = (source: string, address: string) =>
      outcome(table, packet(source, address, { port: port(30_080) }));
    assert.equal(at(OUTSIDE, "192.168.1.1"), "10.244.0.1");
    assert.equal(at("2001:db8::9", "fd01:1::1"), "fd01::1");
  });
});
