import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { ip, service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import type { TableRef } from "../../src/kernel/nftables/batch.ts";
import { addressBytes, words } from "../../src/proxy/nftables/key-bytes.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";
import { smallBuffers } from "./tapped-libc.ts";

const WORLD = { from: "world" };
const HOUR_MS = 3_600_000n;

inNamespace(import.meta.url, () => {
  let network: Network;

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080);
  });

  after(() => network[Symbol.asyncDispose]());

  async function tables(): Promise<NetlinkTables> {
    return new NetlinkTables(await smallBuffers(), "none");
  }

  it("serves a Service whose elements alone are more than one transaction takes", async () => {
    const lines = Array.from(
      { length: 300 },
      (_, i) => `10.244.${String(i >> 6)}.${String(i & 63)} ready @here`,
    );
    const web = service({}, { annotations: { "portolan.dev/balance": "source-hash" } });
    const table = forwardingTable({ services: [web], slices: [slice(lines)], node: NODE });
    const kernel = await tables();
    // 300 endpoints have 32,768 buckets of 36 bytes.
    assert.ok(32_768 * 36 > 2 * kernel.maxTransaction);
    await using plane = await TestPlane.open({ tables: kernel });
    assert.deepEqual(await plane.set(table), []);
    await plane.set(
      forwardingTable({ services: [web], slices: [slice(lines.slice(1, 2))], node: NODE }),
    );
    assert.equal((await network.tcp(WORLD, "10.96.0.1", 80)).kind, "answered");
  });

  it("serves Services with affinity of many different time-outs, at the start and later", async () => {
    await using plane = await TestPlane.open({ tables: await tables() });
    const at = (i: number) => `10.96.0.${String(i)}`;
    const table = (count: number): ForwardingTable => {
      const names = Array.from({ length: count }, (_, i) => ({
        name: `web-${String(i)}`,
        i: i + 1,
      }));
      return forwardingTable({
        services: names.map(({ name, i }) =>
          service(
            {
              clusterIP: at(i),
              clusterIPs: [at(i), `fd00:96::${String(i)}`],
              sessionAffinity: "ClientIP",
              sessionAffinityConfig: { clientIP: { timeoutSeconds: 1000 + i } },
            },
            { name },
          ),
        ),
        slices: names.map(({ name }) =>
          slice(["10.244.0.1 ready @here"], {
            metadata: { name, labels: { "kubernetes.io/service-name": name } },
          }),
        ),
        node: NODE,
      });
    };
    for (const count of [6, 12]) {
      assert.deepEqual(await plane.set(table(count)), []);
      for (const i of [1, count]) {
        assert.equal((await network.tcp(WORLD, at(i), 80)).kind, "answered");
      }
    }
  });

  it("a restart takes over what more clients remember than fit into one transaction", async () => {
    const clients = 20_000;
    const address = "10.96.0.50";
    const sticky = service({ sessionAffinity: "ClientIP", clusterIP: address });
    const table = forwardingTable({
      services: [sticky],
      slices: [slice(["10.244.0.1 ready @here", "10.244.0.2 ready @here"])],
      node: NODE,
    });
    using kernel = await tables();
    const remembered = async (ref: TableRef): Promise<number> => {
      let count = 0;
      await kernel.dump(ref, "affinity", () => count++);
      return count;
    };
    {
      await using first = await TestPlane.open({ tables: await tables() });
      await first.set(table);
      const ref: TableRef = { family: "ip", name: first.plane.table ?? "" };
      for (let at = 0; at < clients; at += 2000) {
        const transaction = kernel.begin();
        for (let i = at; i < at + 2000; i++) {
          const client = addressBytes(ip(`10.9.${String(i >> 8)}.${String(i & 255)}`));
          const key = Uint8Array.of(...words(0), ...client);
          const time = { timeoutMs: 3n * HOUR_MS, expirationMs: 2n * HOUR_MS };
          transaction.addRemembered(ref, key, words(0x8000_0000 + (i & 1)), time);
        }
        await transaction.commit();
      }
      assert.equal(await remembered(ref), clients);
    }
    await using second = await TestPlane.open({ tables: await tables() });
    assert.deepEqual(await second.set(table), []);
    assert.equal(await remembered({ family: "ip", name: second.plane.table ?? "" }), clients);
  });
});
