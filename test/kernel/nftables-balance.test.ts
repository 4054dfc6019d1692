import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { packet, pickNth, service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { route } from "../../src/core/proxy/route.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { crowd4, crowd6, Network, NODE4 } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";

const CLIENTS = 40;

inNamespace(import.meta.url, () => {
  let network: Network;
  let plane: TestPlane;

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080);
    plane = await TestPlane.open();
  });

  after(async () => {
    await plane[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  /** Both families and protocols, all Pods but those in `without`. */
  function tableOf(without: readonly string[], value = "source-hash"): ForwardingTable {
    const pods = PODS.filter(({ name }) => !without.includes(name));
    const ports = [
      { name: "http", protocol: "TCP", port: 8080 },
      { name: "dns", protocol: "UDP", port: 8080 },
    ] as const;
    const slices = (["IPv4", "IPv6"] as const).map((addressType) =>
      slice(
        pods.map((pod) => `${addressType === "IPv4" ? pod.v4 : pod.v6} ready @${pod.node}`),
        { addressType, ports, metadata: { name: `web-${addressType}` } },
      ),
    );
    const web = service(
      {
        type: "NodePort",
        clusterIPs: ["10.96.0.1", "fd00:96::1"],
        ports: [
          { name: "http", protocol: "TCP", port: 80, nodePort: 30_080 },
          { name: "dns", protocol: "UDP", port: 80, nodePort: 30_080 },
        ],
        externalTrafficPolicy: "Local",
      },
      { annotations: { "portolan.dev/balance": value } },
    );
    return forwardingTable({ services: [web], slices, node: NODE });
  }

  /** Who answers each client of the crowd, and who should. */
  async function answers(
    table: ForwardingTable,
    address: string,
    protocol: "TCP" | "UDP",
    port = 80,
  ): Promise<readonly (readonly [by: string, expected: string])[]> {
    const clients = Array.from({ length: CLIENTS }, (_, n) =>
      address.includes(":") ? crowd6(n) : crowd4(n),
    );
    return Promise.all(
      clients.map(async (source) => {
        const to = packet(source, address, { protocol, port: port as never });
        const result = route(table, to, pickNth(0));
        const ask = protocol === "TCP" ? network.tcp.bind(network) : network.udp.bind(network);
        const outcome = await ask({ from: "world", source }, address, port);
        return [
          outcome.kind === "answered" ? outcome.by : outcome.kind,
          result.kind === "forward" ? result.backend.address : result.kind,
        ];
      }),
    );
  }

  for (const protocol of ["TCP", "UDP"] as const) {
    for (const address of ["10.96.0.1", "fd00:96::1"]) {
      it(`source-hash: the kernel sends each of ${String(CLIENTS)} clients where route() says: ${protocol} ${address}`, async () => {
        const table = tableOf([]);
        assert.deepEqual(await plane.set(table), []);
        const all = await answers(table, address, protocol);
        assert.deepEqual(
          all.map(([by]) => by),
          all.map(([, expected]) => expected),
        );
        assert.equal(new Set(all.map(([by]) => by)).size, PODS.length);
      });
    }
  }

  it("source-hash: policy Local hashes over this node's endpoints, at a node port", async () => {
    const table = tableOf([]);
    await plane.set(table);
    const all = await answers(table, NODE4, "TCP", 30_080);
    assert.deepEqual(
      all.map(([by]) => by),
      all.map(([, expected]) => expected),
    );
    assert.deepEqual([...new Set(all.map(([by]) => by))].sort(), ["10.244.0.1", "10.244.0.2"]);
  });

  it("source-hash: when an endpoint leaves only its own clients move, and when it is back so are they", async () => {
    const bys = async (table: ForwardingTable): Promise<readonly string[]> => {
      await plane.set(table);
      return (await answers(table, "10.96.0.1", "TCP")).map(([by]) => by);
    };
    const whole = await bys(tableOf([]));
    const without = await bys(tableOf(["p3"]));
    assert.ok(whole.includes("10.244.0.3") && !without.includes("10.244.0.3"));
    const moved = whole.filter((by, i) => by !== without[i]);
    assert.deepEqual([...new Set(moved)], ["10.244.0.3"]);
    assert.deepEqual(await bys(tableOf([])), whole);
  });

  it("source-hash: a client's endpoint is the same after a restart and after the annotation went and came", async () => {
    const table = tableOf([]);
    await plane.set(table);
    const first = await answers(table, "10.96.0.1", "TCP");
    await plane.set(tableOf([], "random"));
    await plane.set(table);
    assert.deepEqual(await answers(table, "10.96.0.1", "TCP"), first);
    await plane.plane.resync();
    assert.deepEqual(await answers(table, "10.96.0.1", "TCP"), first);
  });
});
