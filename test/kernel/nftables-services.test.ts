import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { Service, ServiceSpec } from "../../src/api/v1/service.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { tuneConntrack } from "../../src/proxy/nftables/conntrack-room.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network, NODE4, NODE6, OTHER_WORLD4, WORLD4 } from "./network.ts";
import type { Client, Outcome } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";
import { echoRequest, sendRaw, tcpSegment } from "./raw-packets.ts";

const VIP = "10.96.0.1";
const VIP6 = "fd00:96::1";
const POD = "p1";
const WORLD: Client = { from: "world" };
const HOST: Client = { from: "node" };

inNamespace(import.meta.url, () => {
  let network: Network;
  let plane: TestPlane;

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080, 9090);
    plane = await TestPlane.open();
  });

  after(async () => {
    await plane[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  /** Serves Services with these endpoints: lines as `10.244.0.1 ready @here`. */
  async function serve(
    services: readonly Service[],
    lines: readonly string[],
    over: Partial<EndpointSlice> = {},
  ): Promise<ForwardingTable> {
    const table = forwardingTable({ services, slices: [slice(lines, over)], node: NODE });
    await plane.set(table);
    return table;
  }

  const ALL = [
    "10.244.0.1 ready @here",
    "10.244.0.2 ready @here",
    "10.244.0.3 ready @there",
    "10.244.0.4 ready @there",
  ];

  /** Who answered `count` connections; "refused" and "silence" stand among them. */
  async function ask(
    client: Client,
    address: string,
    port = 80,
    count = 1,
    protocol: "tcp" | "udp" = "tcp",
  ): Promise<readonly string[]> {
    const outcomes = await Promise.all(
      Array.from({ length: count }, () => network[protocol](client, address, port)),
    );
    return [...new Set(outcomes.map(nameOf))].sort();
  }

  describe("cluster IPs", () => {
    it("PROXY-020, PROXY-030: each connection goes to any endpoint, from Pods, the node and elsewhere", async () => {
      await serve([service()], ALL);
      const everyone = PODS.map((pod) => pod.v4);
      for (const client of [{ from: POD }, HOST, WORLD]) {
        assert.deepEqual(await ask(client, VIP, 80, 64), everyone, client.from);
      }
    });

    it("PROXY-021: a Pod's own address reaches the endpoint", async () => {
      await serve([service()], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await sourceSeen({ from: POD }, VIP), "10.244.0.1");
    });

    it("PROXY-022: clients from outside of the Pods' network are hidden behind the node", async () => {
      await serve([service()], ["10.244.0.3 ready @there"]);
      assert.equal(await sourceSeen(WORLD, VIP), NODE4);
      assert.equal(await sourceSeen(HOST, VIP), NODE4);
    });

    it("PROXY-023: a Pod reaches itself through its Service, and sees the node's address", async () => {
      await serve([service()], ["10.244.0.1 ready @here"]);
      assert.equal(await sourceSeen({ from: POD }, VIP), NODE4);
    });

    it("PROXY-010, PROXY-023: so too when the endpoint came to this node under an address that was elsewhere, and back", async () => {
      // Ports that nothing else here uses: the kernel remembers for two minutes where a connection without an answer went,
      // and sends a later one from its port there, too.
      let sourcePort = 19_000;
      const sees = async (nodeName: string, more: Partial<ServiceSpec> = {}): Promise<string> => {
        await serve([service(more)], [`10.244.0.1 ready @${nodeName}`]);
        return sourceSeen({ from: POD, sourcePort: ++sourcePort }, VIP);
      };
      for (const more of [{}, { sessionAffinity: "ClientIP" }] as const) {
        // The Pod is here in truth: not known as this node's, it is not hidden from itself, and gets no answer.
        assert.equal(await sees("there", more), "silence");
        assert.equal(await sees("here", more), NODE4);
        assert.equal(await sees("there", more), "silence");
      }
    });

    it("PROXY-024, PROXY-025: without endpoints clients are refused at once, on every kind of address", async () => {
      const all = service(
        {
          type: "LoadBalancer",
          externalIPs: ["203.0.113.1"],
          ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_080 }],
        },
        {},
        [{ ip: "203.0.113.7" }],
      );
      await serve([all], ["10.244.0.1 unready @here", "10.244.0.2 dead @here"]);
      for (const [address, port] of [
        [VIP, 80],
        ["203.0.113.1", 80],
        ["203.0.113.7", 80],
        [NODE4, 30_080],
      ] as const) {
        assert.deepEqual(await ask(WORLD, address, port), ["refused"], address);
        assert.deepEqual(await ask({ from: POD }, address, port), ["refused"], address);
      }
    });

    it("PROXY-026, PROXY-027: a cluster IP's other ports refuse, and one without Service is silent", async () => {
      await serve([service()], ALL);
      assert.deepEqual(await ask({ from: POD }, VIP, 81), ["refused"]);
      assert.deepEqual(await ask({ from: POD }, "10.96.7.7", 80), ["silence"]);
    });

    it("PROXY-028: a ping of a cluster IP reaches no endpoint", async () => {
      await serve([service()], ["10.244.0.3 ready @there"]);
      const pings = (): Promise<number> => network.counter("p3", "Icmp", "InEchos");
      const ping = (to: string): Promise<void> =>
        network.within(POD, () => sendRaw([echoRequest("10.244.0.1", to)]));
      const before = await pings();
      await ping(VIP);
      // One that does reach it, on the same way, is the end of waiting.
      await ping("10.244.0.3");
      while ((await pings()) === before) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(await pings(), before + 1);
    });

    it("PROXY-029, PROXY-031: TCP and UDP of one port are apart, and reach the endpoints' own ports", async () => {
      const both = service({
        ports: [
          { name: "web", protocol: "TCP", port: 80 },
          { name: "dns", protocol: "UDP", port: 80 },
        ],
      });
      const slices = [
        slice(["10.244.0.1 ready @here"], {
          ports: [{ name: "web", protocol: "TCP", port: 8080 }],
        }),
        slice(["10.244.0.2 ready @here"], {
          ports: [{ name: "dns", protocol: "UDP", port: 9090 }],
        }),
      ];
      await plane.set(forwardingTable({ services: [both], slices, node: NODE }));
      assert.deepEqual(await ask({ from: POD }, VIP, 80, 8), ["10.244.0.1"]);
      assert.deepEqual(await ask({ from: POD }, VIP, 80, 8, "udp"), ["10.244.0.2"]);
    });

    it("PROXY-032: an established connection stays with its endpoint when that is removed", async () => {
      await serve([service()], ["10.244.0.1 ready @here"]);
      const connection = await network.hold({ from: "p4" }, VIP, 80);
      await serve([service()], ["10.244.0.2 ready @here"]);
      assert.equal(await connection.echo("still there"), "still there");
      assert.deepEqual(await ask({ from: "p4" }, VIP, 80, 8), ["10.244.0.2"]);
      connection.end();
    });

    it("PROXY-040..045: ready endpoints take all, then those that serve while they end, never others", async () => {
      await serve([service()], ["10.244.0.1 ready @here", "10.244.0.2 ending @here"]);
      assert.deepEqual(await ask(WORLD, VIP, 80, 16), ["10.244.0.1"]);
      await serve(
        [service()],
        ["10.244.0.1 unready @here", "10.244.0.2 ending @here zone:b", "10.244.0.3 dead @there"],
      );
      assert.deepEqual(await ask(WORLD, VIP, 80, 16), ["10.244.0.2"]);
    });

    it("serves IPv6 as IPv4", async () => {
      const dual = service({ clusterIPs: [VIP, VIP6] });
      const v6 = { addressType: "IPv6" as const };
      await serve([dual], ["fd00:244::1 ready @here", "fd00:244::3 ready @there"], v6);
      assert.deepEqual(await ask({ from: "p2" }, VIP6, 80, 32), ["fd00:244::1", "fd00:244::3"]);
      assert.deepEqual(await ask(WORLD, VIP6, 80, 32), ["fd00:244::1", "fd00:244::3"]);
      assert.equal(await sourceSeen({ from: "p2" }, VIP6), "fd00:244::2");
      assert.equal(await sourceSeen(WORLD, VIP6), NODE6);
    });
  });

  describe("internalTrafficPolicy Local", () => {
    const local = (): Service => service({ internalTrafficPolicy: "Local" });

    it("ITP-001, ITP-004: Pods and the node reach endpoints of this node alone", async () => {
      await serve([local()], ALL);
      const here = ["10.244.0.1", "10.244.0.2"];
      assert.deepEqual(await ask({ from: "p3" }, VIP, 80, 32), here);
      assert.deepEqual(await ask(HOST, VIP, 80, 32), here);
    });

    it("ITP-002, ITP-003: none here but some elsewhere is silence, none anywhere is refused", async () => {
      await serve([local()], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await ask({ from: POD }, VIP), ["silence"]);
      await serve([local()], []);
      assert.deepEqual(await ask({ from: POD }, VIP), ["refused"]);
    });

    it("ITP-005: other addresses follow the external policy", async () => {
      const spec = {
        type: "NodePort",
        internalTrafficPolicy: "Local",
        ports: nodePorts(),
      } as const;
      await serve([service(spec)], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["10.244.0.3"]);
      assert.deepEqual(await ask({ from: POD }, VIP), ["silence"]);
    });

    it("ITP-006, TERM-002: an endpoint of this node that ends still serves", async () => {
      await serve([local()], ["10.244.0.1 ending @here", "10.244.0.3 ready @there"]);
      assert.deepEqual(await ask({ from: "p2" }, VIP, 80, 8), ["10.244.0.1"]);
    });
  });

  describe("node ports", () => {
    const nodePort = (spec: Partial<Service["spec"]> = {}): Service =>
      service({ type: "NodePort", ports: nodePorts(), ...spec });

    it("NP-001, NP-004, NP-011: any endpoint answers at the node's address, outside and in Pods; hidden source", async () => {
      await serve([nodePort()], ALL);
      const everyone = PODS.map((pod) => pod.v4);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 64), everyone);
      assert.deepEqual(await ask({ from: POD }, NODE4, 30_080, 64), everyone);
      assert.equal(await sourceSeen(WORLD, NODE4, 30_080), NODE4);
    });

    it("NP-002, NP-010: not on loopback, nor on the cluster IP", async () => {
      await serve([nodePort()], ALL);
      assert.deepEqual(await ask(HOST, "127.0.0.1", 30_080), ["refused"]);
      assert.deepEqual(await ask({ from: POD }, VIP, 30_080), ["refused"]);
    });

    it("NP-005, NP-006, TERM-004: policy Local keeps the client's address and this node's endpoints", async () => {
      const local = nodePort({ externalTrafficPolicy: "Local" });
      await serve([local], ALL);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 32), ["10.244.0.1", "10.244.0.2"]);
      assert.equal(await sourceSeen(WORLD, NODE4, 30_080), WORLD4);
      await serve([local], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["silence"]);
      await serve([local], ["10.244.0.1 ending @here", "10.244.0.3 ready @there"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 8), ["10.244.0.1"]);
    });

    it("NP-007: Pods and the node itself reach all endpoints whatever the external policy", async () => {
      await serve([nodePort({ externalTrafficPolicy: "Local" })], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await ask({ from: POD }, NODE4, 30_080), ["10.244.0.3"]);
      assert.equal(await sourceSeen({ from: POD }, NODE4, 30_080), "10.244.0.1");
      assert.deepEqual(await ask(HOST, NODE4, 30_080), ["10.244.0.3"]);
      assert.equal(await sourceSeen(HOST, NODE4, 30_080), NODE4);
    });

    it("NP-008, NP-009: refuses without endpoints, wins over a listener of the node, leaves others alone", async () => {
      await network.serve("node", 30_080);
      await network.serve("node", 30_081);
      await serve([nodePort()], []);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["refused"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_081), [NODE4]);
      await serve([nodePort()], ["10.244.0.1 ready @here"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["10.244.0.1"]);
    });

    it("NP-012: another node port takes the place of the old one", async () => {
      const at = (port: number): Service =>
        nodePort({ ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: port }] });
      await serve([at(30_090)], ALL);
      assert.equal((await ask(WORLD, NODE4, 30_090, 64)).length, 4);
      await serve([at(30_091)], ALL);
      assert.equal((await ask(WORLD, NODE4, 30_091, 64)).length, 4);
      assert.deepEqual(await ask(WORLD, NODE4, 30_090), ["refused"]);
    });

    it("masquerades by address and port: a cluster IP whose port is some node port's number keeps sources", async () => {
      const web = nodePort();
      const other = service(
        {
          clusterIP: "10.96.0.2",
          clusterIPs: ["10.96.0.2"],
          ports: [{ name: "http", protocol: "TCP", port: 30_080 }],
        },
        { name: "other" },
      );
      const slices = ["web", "other"].map((name) =>
        slice(["10.244.0.3 ready @there"], {
          metadata: { name, labels: { "kubernetes.io/service-name": name } },
        }),
      );
      await plane.set(forwardingTable({ services: [web, other], slices, node: NODE }));
      assert.equal(await sourceSeen({ from: POD }, "10.96.0.2", 30_080), "10.244.0.1");
    });
  });

  describe("external and load-balancer addresses", () => {
    const balanced = (
      spec: Partial<Service["spec"]> = {},
      ingress: Parameters<typeof service>[2] = [{ ip: "203.0.113.7" }],
    ): Service => service({ type: "LoadBalancer", ports: nodePorts(), ...spec }, {}, ingress);

    it("EXT-001, EXT-002: external IPs are served though no node has them, by the external policy", async () => {
      const spec = { externalIPs: ["203.0.113.1"], externalTrafficPolicy: "Local" } as const;
      await serve([service(spec)], ALL);
      assert.deepEqual(await ask(WORLD, "203.0.113.1", 80, 32), ["10.244.0.1", "10.244.0.2"]);
      assert.equal((await ask({ from: POD }, "203.0.113.1", 80, 64)).length, 4);
    });

    it("EXT-003: an address of a family that the Service has not is left to the network", async () => {
      await serve([service({ externalIPs: ["2001:db8:99::1"] })], ALL);
      const outcome = await network.tcp({ from: POD }, "2001:db8:99::1", 80);
      assert.notEqual(outcome.kind, "answered");
    });

    it("EXT-004: where they are switched off external IPs are left to the network, and all else is served", async () => {
      const spec = { externalIPs: ["203.0.113.1"] };
      await serve([balanced(spec)], ["10.244.0.1 ready @here"]);
      assert.deepEqual(await ask(WORLD, "203.0.113.1"), ["10.244.0.1"]);
      const node = { ...NODE, ignoresExternalIPs: true };
      const slices = [slice(["10.244.0.1 ready @here"])];
      await plane.set(forwardingTable({ services: [balanced(spec)], slices, node }));
      assert.notDeepEqual(await ask(WORLD, "203.0.113.1"), ["10.244.0.1"]);
      assert.deepEqual(await ask(WORLD, "203.0.113.7"), ["10.244.0.1"]);
      assert.deepEqual(await ask(WORLD, VIP), ["10.244.0.1"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["10.244.0.1"]);
    });

    it("LBIP-001, LBIP-002, LBIP-003: mode VIP is served on the node; mode Proxy and names are not", async () => {
      await serve([balanced()], ALL);
      assert.equal((await ask({ from: POD }, "203.0.113.7", 80, 64)).length, 4);
      const proxied = [{ ip: "203.0.113.7", ipMode: "Proxy" as const }, { hostname: "lb.example" }];
      const table = await serve([balanced({}, proxied)], ALL);
      assert.ok(!table.frontends.some((frontend) => frontend.kind === "loadBalancer"));
      const outcome = await network.tcp({ from: POD }, "203.0.113.7", 80);
      assert.notEqual(outcome.kind, "answered");
    });

    it("LBIP-004, LBIP-009: works before the address is there, and without node ports", async () => {
      await serve([balanced({}, [])], ["10.244.0.1 ready @here"]);
      assert.deepEqual(await ask({ from: "p2" }, VIP), ["10.244.0.1"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080), ["10.244.0.1"]);
      const ports = [{ name: "http", protocol: "TCP" as const, port: 80 }];
      await serve([balanced({ ports })], ["10.244.0.1 ready @here"]);
      assert.deepEqual(await ask(WORLD, "203.0.113.7"), ["10.244.0.1"]);
    });

    it("LBIP-005: sources not listed are dropped at load-balancer addresses alone", async () => {
      const ranges = ["192.0.2.0/24", "10.244.0.2/32", "192.0.2.2/32"];
      const spec = { loadBalancerSourceRanges: ranges, externalIPs: ["203.0.113.1"] };
      await serve([balanced(spec)], ["10.244.0.3 ready @there"]);
      assert.deepEqual(await ask(WORLD, "203.0.113.7"), ["10.244.0.3"]);
      assert.deepEqual(await ask({ from: "p2" }, "203.0.113.7"), ["10.244.0.3"]);
      assert.deepEqual(await ask({ from: POD }, "203.0.113.7"), ["silence"]);
      const other = { from: "world", source: OTHER_WORLD4 };
      assert.deepEqual(await ask(other, "203.0.113.7"), ["silence"]);
      assert.deepEqual(await ask(other, "203.0.113.1"), ["10.244.0.3"]);
      assert.deepEqual(await ask(other, NODE4, 30_080), ["10.244.0.3"]);
      await serve(
        [balanced({ loadBalancerSourceRanges: ["198.51.100.0/24"] })],
        ["10.244.0.3 ready @there"],
      );
      assert.deepEqual(await ask(WORLD, "203.0.113.7"), ["silence"]);
      assert.deepEqual(await ask(other, "203.0.113.7"), ["10.244.0.3"]);
    });

    it("LBIP-006: IPv4 ranges do not limit an IPv6 address", async () => {
      const spec = { clusterIPs: [VIP, VIP6], loadBalancerSourceRanges: ["198.51.100.0/24"] };
      const v6 = { addressType: "IPv6" as const };
      await serve([balanced(spec, [{ ip: "2001:db8:99::7" }])], ["fd00:244::1 ready @here"], v6);
      assert.deepEqual(await ask(WORLD, "2001:db8:99::7"), ["fd00:244::1"]);
    });

    it("LBIP-007: with the node let in, so is what it sends from the address itself; else not", async () => {
      network.own("203.0.113.8/32");
      const own = { from: "node", source: "203.0.113.8" };
      const at = (range: string): Promise<ForwardingTable> =>
        serve(
          [balanced({ loadBalancerSourceRanges: [range] }, [{ ip: "203.0.113.8" }])],
          ["10.244.0.3 ready @there"],
        );
      await at(`${NODE4}/32`);
      assert.deepEqual(await ask(own, "203.0.113.8"), ["10.244.0.3"]);
      await at("198.51.100.0/24");
      assert.notDeepEqual(await ask(own, "203.0.113.8"), ["10.244.0.3"]);
    });

    it("LBIP-008: policy Local keeps the client's address at load-balancer addresses", async () => {
      await serve([balanced({ externalTrafficPolicy: "Local" })], ALL);
      assert.equal(await sourceSeen(WORLD, "203.0.113.7"), WORLD4);
      assert.deepEqual(await ask(WORLD, "203.0.113.7", 80, 32), ["10.244.0.1", "10.244.0.2"]);
    });

    it("PROXY-014: of two Services that claim one address the older is served, and the other when it goes", async () => {
      const claim = (name: string, n: number, created: string): Service =>
        service(
          {
            clusterIP: `10.96.0.${String(n)}`,
            clusterIPs: [`10.96.0.${String(n)}`],
            externalIPs: ["203.0.113.1"],
          },
          { name, creationTimestamp: created },
        );
      const old = claim("old", 1, "2026-01-01T00:00:00Z");
      const young = claim("young", 2, "2026-01-02T00:00:00Z");
      const slices = [
        ["old", "10.244.0.1 ready @here"],
        ["young", "10.244.0.2 ready @here"],
      ].map(([name = "", line = ""]) =>
        slice([line], { metadata: { name, labels: { "kubernetes.io/service-name": name } } }),
      );
      await plane.set(forwardingTable({ services: [young, old], slices, node: NODE }));
      assert.deepEqual(await ask(WORLD, "203.0.113.1", 80, 8), ["10.244.0.1"]);
      await plane.set(forwardingTable({ services: [young], slices, node: NODE }));
      assert.deepEqual(await ask(WORLD, "203.0.113.1", 80, 8), ["10.244.0.2"]);
    });
  });

  describe("session affinity", () => {
    const sticky = (spec: Partial<Service["spec"]> = {}): Service =>
      service({
        type: "NodePort",
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } },
        externalIPs: ["203.0.113.1"],
        ports: nodePorts(),
        ...spec,
      });

    it("AFF-001, AFF-002, AFF-004: one client, one endpoint, at every address of the Service port", async () => {
      await serve([sticky()], ALL);
      const first = await ask(WORLD, VIP);
      assert.deepEqual(await ask(WORLD, VIP, 80, 16), first);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 16), first);
      assert.deepEqual(await ask(WORLD, "203.0.113.1", 80, 16), first);
    });

    it("AFF-003: is forgotten after its time without new connections", async () => {
      const spec = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } };
      await serve([sticky(spec)], ALL);
      const seen = new Set<string>();
      // Sixteen choices of four are all the same once in a thousand million times.
      for (let i = 0; i < 16; i++) {
        const [by = ""] = await ask(WORLD, VIP);
        seen.add(by);
        assert.deepEqual(await ask(WORLD, VIP, 80, 4), [by]);
        if (seen.size > 1) return;
        await new Promise((resolve) => setTimeout(resolve, 1100));
      }
      assert.fail(`always ${[...seen].join()}`);
    });

    it("AFF-005: two ports of a Service remember apart", async () => {
      const ports = [80, 81, 82, 83, 84, 85, 86, 87, 88, 89].map((port) => ({
        name: `p${String(port)}`,
        protocol: "TCP" as const,
        port,
      }));
      const spec = { type: "ClusterIP", externalIPs: [], ports } as const;
      const slicePorts = ports.map(({ name }) => ({ name, protocol: "TCP" as const, port: 8080 }));
      await serve([sticky(spec)], ALL, { ports: slicePorts });
      const answers = await Promise.all(ports.map(({ port }) => ask(WORLD, VIP, port)));
      assert.ok(new Set(answers.flat()).size > 1);
      const again = await Promise.all(ports.map(({ port }) => ask(WORLD, VIP, port, 4)));
      assert.deepEqual(again, answers);
    });

    it("AFF-006, AFF-009: an endpoint gone, or not of the policy's set, gives way to another that stays", async () => {
      const local = sticky({ externalTrafficPolicy: "Local" });
      await serve([local], ALL);
      const [first = ""] = await ask({ from: POD }, NODE4, 30_080);
      const rest = ALL.filter((line) => !line.startsWith(`${first} `));
      await serve([local], rest);
      const second = await ask({ from: POD }, NODE4, 30_080);
      assert.notDeepEqual(second, [first]);
      assert.deepEqual(await ask({ from: POD }, NODE4, 30_080, 16), second);
      const here = await ask(WORLD, NODE4, 30_080);
      assert.ok(["10.244.0.1", "10.244.0.2"].includes(here[0] ?? ""));
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 16), here);
    });

    it("AFF-008: holds for UDP", async () => {
      const ports = [{ name: "dns", protocol: "UDP" as const, port: 53 }];
      await serve([sticky({ type: "ClusterIP", ports })], ALL, {
        ports: [{ name: "dns", protocol: "UDP", port: 8080 }],
      });
      const first = await ask(WORLD, VIP, 53, 1, "udp");
      assert.deepEqual(await ask(WORLD, VIP, 53, 16, "udp"), first);
    });

    it("AFF-010: turned off, connections spread again", async () => {
      await serve([sticky()], ALL);
      await ask(WORLD, VIP);
      await serve([sticky({ sessionAffinity: "None" })], ALL);
      assert.equal((await ask(WORLD, VIP, 80, 64)).length, 4);
    });
  });

  describe("flows that the kernel remembers", () => {
    const dns = (spec: Partial<Service["spec"]> = {}): Service =>
      service({
        type: "NodePort",
        ports: [{ name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 }],
        ...spec,
      });
    const ports = { ports: [{ name: "dns", protocol: "UDP" as const, port: 8080 }] };
    let port = 20_000;

    it("CT-001, CT-003, CT-006: clients that keep their port move when their endpoint goes", async () => {
      const clients = [{ from: "p4" }, HOST, WORLD].map((client) => ({
        ...client,
        sourcePort: ++port,
      }));
      await serve([dns()], ["10.244.0.1 ready @here"], ports);
      for (const client of clients) {
        assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.1"], client.from);
      }
      assert.deepEqual(await ask({ ...WORLD, sourcePort: 21_000 }, NODE4, 30_053, 1, "udp"), [
        "10.244.0.1",
      ]);
      await serve([dns()], ["10.244.0.2 ready @here"], ports);
      for (const client of clients) {
        assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.2"], client.from);
      }
      assert.deepEqual(await ask({ ...WORLD, sourcePort: 21_000 }, NODE4, 30_053, 1, "udp"), [
        "10.244.0.2",
      ]);
    });

    it("CT-002: and those that began before there was any endpoint, or any Service", async () => {
      const early = { ...WORLD, sourcePort: ++port };
      await serve([], []);
      assert.deepEqual(await ask(early, NODE4, 30_053, 1, "udp"), ["refused"]);
      await serve([dns()], [], ports);
      assert.deepEqual(await ask({ ...WORLD, sourcePort: 22_000 }, VIP, 53, 1, "udp"), ["refused"]);
      await serve([dns()], ["10.244.0.1 ready @here"], ports);
      assert.deepEqual(await ask(early, NODE4, 30_053, 1, "udp"), ["10.244.0.1"]);
      assert.deepEqual(await ask({ ...WORLD, sourcePort: 22_000 }, VIP, 53, 1, "udp"), [
        "10.244.0.1",
      ]);
    });

    it("CT-004, CT-005: with policy Local, and through unready to ready again", async () => {
      const local = dns({ internalTrafficPolicy: "Local" });
      const client = { from: "p4", sourcePort: ++port };
      await serve([local], ["10.244.0.1 ready @here", "10.244.0.3 ready @there"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.1"]);
      await serve([local], ["10.244.0.2 ready @here", "10.244.0.3 ready @there"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.2"]);
      await serve([local], ["10.244.0.2 unready @here"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["refused"]);
      await serve([local], ["10.244.0.2 ready @here"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.2"]);
    });

    it("CT-007: unlike the reference, flows of a Service without endpoints, or deleted, end as well", async () => {
      const client = { from: "p4", sourcePort: ++port };
      await serve([dns()], ["10.244.0.1 ready @here"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.1"]);
      await serve([dns()], [], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["refused"]);
      await serve([dns()], ["10.244.0.1 ready @here"], ports);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["10.244.0.1"]);
      await serve([], []);
      assert.deepEqual(await ask(client, VIP, 53, 1, "udp"), ["silence"]);
    });

    it("CT-008: TCP connections are left alone", async () => {
      await serve(
        [service(), dns({ clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"] })],
        ["10.244.0.1 ready @here"],
      );
      const connection = await network.hold({ from: "p4" }, VIP, 80);
      await serve([], []);
      assert.equal(await connection.echo("a"), "a");
      connection.end();
    });

    it("CT-009: packets that belong to no connection do not reach a client, whose connection lives on", async () => {
      await serve([service()], ["10.244.0.3 ready @there"]);
      const sourcePort = ++port;
      const connection = await network.hold({ from: POD, sourcePort }, VIP, 80);
      assert.equal(await connection.echo("before"), "before");
      const resets = await network.counter(POD, "Tcp", "OutRsts");
      // From the endpoint itself, outside of any window whatever the connection's numbers are: nobody translates these.
      const strays = Array.from({ length: 16 }, (_, i) =>
        tcpSegment(
          { address: "10.244.0.3", port: 8080 },
          { address: "10.244.0.1", port: sourcePort },
          i * 0x10000000,
        ),
      );
      await network.within("p3", () => sendRaw(strays));
      assert.equal(await connection.echo("after"), "after");
      // Had one come, the client would have reset a connection to the endpoint's address that it has not.
      assert.equal(await network.counter(POD, "Tcp", "OutRsts"), resets);
      connection.end();
    });

    it("CT-010: half-closed connections are remembered for an hour", async () => {
      const log = createLogger({
        write: () => undefined,
        level: "error",
        format: "text",
        now: () => new Date(0),
      });
      await tuneConntrack(log);
      const path = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";
      assert.equal(readFileSync(path, "utf8").trim(), "3600");
    });
  });

  describe("what is read of Services and slices", () => {
    const reached = async (
      spec: Partial<Service["spec"]>,
      slices: readonly EndpointSlice[],
      client: Client = { from: "p4" },
      address = VIP,
    ): Promise<readonly string[]> => {
      await plane.set(forwardingTable({ services: [service(spec)], slices, node: NODE }));
      return ask(client, address, 80, 16);
    };
    const labelled = (labels: Record<string, string>): EndpointSlice =>
      slice(["10.244.0.2 ready @here"], { metadata: { name: "web-2", labels } });
    const good = slice(["10.244.0.1 ready @here"]);

    it("PROXY-001: Services without cluster IP, and ExternalName, are nobody's, external IPs included", async () => {
      const externalIPs = ["203.0.113.1"];
      assert.deepEqual(await reached({ externalIPs }, [good], WORLD, "203.0.113.1"), [
        "10.244.0.1",
      ]);
      for (const spec of [
        { clusterIP: "None", clusterIPs: ["None"] },
        { clusterIP: "", clusterIPs: [] },
        { type: "ExternalName" as const, externalName: "x.example" },
      ]) {
        const answers = await reached({ ...spec, externalIPs }, [good], WORLD, "203.0.113.1");
        assert.ok(!answers.includes("10.244.0.1"), JSON.stringify(spec));
      }
    });

    it("PROXY-004, PROXY-005: slices of others, of names and of no Service are left out", async () => {
      const others = [
        labelled({ "service.kubernetes.io/headless": "" }),
        labelled({ "service.kubernetes.io/service-proxy-name": "other" }),
        labelled({ "kubernetes.io/service-name": "" }),
        slice(["10.244.0.2 ready @here"], { addressType: "FQDN" }),
      ];
      for (const other of others)
        assert.deepEqual(await reached({}, [good, other]), ["10.244.0.1"]);
      assert.deepEqual(await reached({}, others), ["refused"]);
    });

    it("PROXY-006: slices' ports are found by name, and the Service's targetPort is not asked", async () => {
      const named = (ports: EndpointSlice["ports"]): EndpointSlice =>
        slice(["10.244.0.2 ready @here"], { ports, metadata: { name: "web-2" } });
      const ports = [{ name: "http", protocol: "TCP" as const, port: 80, targetPort: 1 }];
      for (const other of [
        named([{ name: "other", protocol: "TCP", port: 8080 }]),
        named([{ protocol: "TCP", port: 8080 }]),
        named([{ name: "http", protocol: "TCP" }]),
      ]) {
        assert.deepEqual(await reached({ ports }, [good, other]), ["10.244.0.1"]);
      }
    });

    it("PROXY-008: conditions that are not said read as ready and serving, not terminating", async () => {
      const silent = { ...good, endpoints: [{ addresses: ["10.244.0.2"], conditions: {} }] };
      assert.deepEqual(await reached({}, [silent]), ["10.244.0.2"]);
    });

    it("PROXY-046: a policy that no address has needs no backends, and the other has all of its", async () => {
      const slices = [slice(["10.244.0.1 ready @here", "10.244.0.3 ready @there"])];
      const setsOf = (spec: Partial<Service["spec"]>): readonly number[] => {
        const table = forwardingTable({ services: [service(spec)], slices, node: NODE });
        const target = table.frontends[0]?.target;
        return [target?.cluster.length ?? -1, target?.local.length ?? -1];
      };
      const local = { internalTrafficPolicy: "Local" } as const;
      assert.deepEqual(setsOf({}), [2, 0]);
      assert.deepEqual(setsOf(local), [0, 1]);
      assert.deepEqual(setsOf({ ...local, externalIPs: ["203.0.113.1"] }), [2, 1]);
      const external = { externalTrafficPolicy: "Local", externalIPs: ["203.0.113.1"] } as const;
      assert.deepEqual(setsOf(external), [2, 1]);
      assert.deepEqual(await reached({ ...local, externalIPs: ["203.0.113.1"] }, slices), [
        "10.244.0.1",
      ]);
      assert.deepEqual(await ask(WORLD, "203.0.113.1", 80, 32), ["10.244.0.1", "10.244.0.3"]);
    });

    it("PROXY-047: policy Local never looks at hints", async () => {
      const lines = [
        "10.244.0.1 ready @here zone:b node:there",
        "10.244.0.2 ready @here zone:a node:here",
      ];
      assert.deepEqual(await reached({}, [slice(lines)]), ["10.244.0.2"]);
      assert.deepEqual(await reached({ internalTrafficPolicy: "Local" }, [slice(lines)]), [
        "10.244.0.1",
        "10.244.0.2",
      ]);
    });

    it("PROXY-048: silence while any endpoint anywhere is usable, in whichever set; else refused", async () => {
      const local = { internalTrafficPolicy: "Local" } as const;
      assert.deepEqual(await reached(local, [slice(["10.244.0.3 ending @there"])]), ["silence"]);
      assert.deepEqual(await reached(local, [slice(["10.244.0.3 ready @there"])]), ["silence"]);
      assert.deepEqual(await reached(local, [slice(["10.244.0.3 unready @there"])]), ["refused"]);
      assert.deepEqual(await reached(local, [slice(["10.244.0.3 dead @there"])]), ["refused"]);
    });
  });

  describe("endpoints that end, and hints", () => {
    it("TERM-001, TERM-003: only those that serve while they end are left: all addresses go on", async () => {
      const spec = { type: "NodePort", ports: nodePorts() } as const;
      await serve([service(spec)], ["10.244.0.3 ending @there"]);
      assert.deepEqual(await ask({ from: POD }, VIP, 80, 4), ["10.244.0.3"]);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 4), ["10.244.0.3"]);
    });

    it("TERM-007: those that end and do not serve are refused", async () => {
      await serve([service()], ["10.244.0.3 dead @there"]);
      assert.deepEqual(await ask({ from: POD }, VIP), ["refused"]);
    });

    it("TOPO-020..023, TOPO-026, 027: hints of node, then zone; else everybody", async () => {
      const reached = async (lines: readonly string[]): Promise<readonly string[]> => {
        await serve([service()], lines);
        return ask({ from: POD }, VIP, 80, 48);
      };
      const here = "10.244.0.1 ready @here zone:a node:here";
      const near = "10.244.0.3 ready @there zone:a node:there";
      const far = "10.244.0.4 ready @there zone:b node:there";
      assert.deepEqual(await reached([here, near, far]), ["10.244.0.1"]);
      assert.deepEqual(await reached([near, far]), ["10.244.0.3"]);
      assert.deepEqual(await reached([far]), ["10.244.0.4"]);
      const unhinted = "10.244.0.2 ready @here";
      assert.deepEqual(await reached([unhinted, far]), ["10.244.0.2", "10.244.0.4"]);
    });

    it("TOPO-025: hints count for node ports under policy Cluster, not under Local", async () => {
      const lines = ["10.244.0.1 ready @here zone:b", "10.244.0.3 ready @there zone:a"];
      const spec = { type: "NodePort", ports: nodePorts() } as const;
      await serve([service(spec)], lines);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 16), ["10.244.0.3"]);
      await serve([service({ ...spec, externalTrafficPolicy: "Local" })], lines);
      assert.deepEqual(await ask(WORLD, NODE4, 30_080, 16), ["10.244.0.1"]);
    });
  });

  it("tells the new connections of each frontend and the open ones of each endpoint, in one reading", async () => {
    await serve([service()], ["10.244.0.1 ready @here", "10.244.0.2 ready @here"]);
    const before = await plane.plane.traffic(true);
    const held = await Promise.all(
      Array.from({ length: 20 }, () => network.hold({ from: "p4" }, VIP, 80)),
    );
    const [was] = before;
    const [now] = await plane.plane.traffic(true);
    assert.equal(now?.frontend.address, VIP);
    assert.equal((now.newConnections ?? 0) - (was?.newConnections ?? 0), 20);
    const total = (open: NonNullable<typeof now>["open"]): number =>
      open.reduce((sum, each) => sum + each.count, 0);
    assert.equal(total(now.open) - total(was?.open ?? []), 20);
    for (const connection of held) connection.end();
  });

  async function sourceSeen(client: Client, address: string, port = 80): Promise<string> {
    const outcome = await network.tcp(client, address, port);
    return outcome.kind === "answered" ? outcome.sawSource : outcome.kind;
  }
});

function nodePorts(): readonly { name: string; protocol: "TCP"; port: number; nodePort: number }[] {
  return [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_080 }];
}

function nameOf(outcome: Outcome): string {
  return outcome.kind === "answered" ? outcome.by : outcome.kind;
}
