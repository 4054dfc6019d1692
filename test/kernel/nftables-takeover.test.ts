import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, it } from "node:test";
import type { Service } from "../../src/api/v1/service.ts";
import { service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { loadLibc } from "../../src/kernel/libc.ts";
import { NodeTakenError, removeTables } from "../../src/proxy/nftables/data-plane.ts";
import { words } from "../../src/proxy/nftables/key-bytes.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import { openKernelAccess } from "../../src/proxy/nftables/open-tables.ts";
import { TextTables } from "../../src/proxy/nftables/text-tables.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";

const VIP = "10.96.0.1";
const WORLD = { from: "world" };

/** Service web at 10.96.0.1:80 with these Pods. */
function table(
  pods: readonly number[] = [1, 2, 3, 4],
  spec: Parameters<typeof service>[0] = {},
): ForwardingTable {
  const lines = pods.map((n) => `10.244.0.${String(n)} ready @here`);
  return forwardingTable({ services: [service(spec)], slices: [slice(lines)], node: NODE });
}

function nft(...args: readonly string[]): string {
  return execFileSync("nft", args, { encoding: "utf8" });
}

inNamespace(import.meta.url, () => {
  let network: Network;

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080);
  });

  after(() => network[Symbol.asyncDispose]());

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    // The runner's timeout is the limit.
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async function isServed(): Promise<boolean> {
    return (await network.tcp(WORLD, VIP, 80)).kind === "answered";
  }

  it("owns its tables: a flush of the whole ruleset by others does not touch them", async () => {
    await using plane = await TestPlane.open();
    await plane.set(table());
    nft("flush", "ruleset");
    assert.ok(await isServed());
    await plane.plane.look();
    assert.deepEqual(plane.repairs, []);
    assert.throws(() => nft("add", "rule", "ip", plane.plane.table ?? "", "services", "drop"));
  });

  it("a second proxy on the node refuses, and so does one that finds a foreign table of our name", async () => {
    {
      await using first = await TestPlane.open();
      await first.set(table());
      await assert.rejects(
        TestPlane.open(),
        (error) =>
          error instanceof NodeTakenError && error.message.includes("another portolan proxy"),
      );
    }
    nft("flush", "ruleset");
    nft("add", "table", "ip6", "portolan");
    await assert.rejects(
      TestPlane.open(),
      (error) =>
        error instanceof NodeTakenError && error.message.includes("nft delete table ip6 portolan"),
    );
    nft("delete", "table", "ip6", "portolan");
  });

  it("PROXY-015: a restart keeps connections and affinity, and no new connection fails meanwhile", async () => {
    const sticky = { sessionAffinity: "ClientIP" } as const;
    let held;
    let remembered;
    {
      await using first = await TestPlane.open();
      await first.set(table([1, 2, 3, 4], sticky));
      held = await network.hold({ from: "p1" }, VIP, 80);
      remembered = await network.tcp(WORLD, VIP, 80);
    }
    // Nobody runs: the rules stay.
    assert.ok(await isServed());
    let isRunning = true;
    const failures: unknown[] = [];
    let connections = 0;
    const client = (async () => {
      while (isRunning) {
        const outcome = await network.tcp(WORLD, VIP, 80);
        connections++;
        if (outcome.kind !== "answered") failures.push(outcome);
        else if (remembered.kind === "answered" && outcome.by !== remembered.by)
          failures.push(outcome);
      }
    })();
    await using second = await network.onNode(() => TestPlane.open());
    // Other numbers than the first one gave: the memory must be translated.
    const other = service(
      { ...sticky, clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"] },
      { name: "a" },
    );
    const both = forwardingTable({
      services: [other, service(sticky)],
      slices: [slice(PODS.map((pod) => `${pod.v4} ready @here`))],
      node: NODE,
    });
    await second.set({ ...both, frontends: both.frontends.toReversed() });
    for (let i = 0; i < 5; i++) {
      const seen = connections;
      await second.plane.resync();
      await until(() => connections > seen + 5);
    }
    isRunning = false;
    await client;
    assert.deepEqual(failures, []);
    assert.ok(connections > 10, String(connections));
    assert.equal(await held.echo("still there"), "still there");
    held.end();
  });

  it("a restart takes over what clients remember of two Services that are one by then", async () => {
    const [own, other, external] = ["10.96.0.20", "10.96.0.21", "192.0.2.80"];
    const sticky = (name: string, clusterIP: string, externalIPs: readonly string[]) =>
      service({ sessionAffinity: "ClientIP", clusterIP, externalIPs }, { name });
    const lines = ["10.244.0.1 ready @here", "10.244.0.2 ready @here"];
    const tableOf = (services: readonly Service[]): ForwardingTable => {
      const slices = services.map(({ metadata: { name } }) =>
        slice(lines, { metadata: { name, labels: { "kubernetes.io/service-name": name } } }),
      );
      return forwardingTable({ services, slices, node: NODE });
    };
    const load = await loadLibc();
    assert.ok(load.kind === "loaded");
    using kernel = new NetlinkTables(load.libc, "none");
    {
      await using first = await TestPlane.open({ ownership: "none" });
      await first.set(tableOf([sticky("one", own, []), sticky("two", other, [external])]));
      // A client that each of the two Services remembers, with another endpoint.
      const transaction = kernel.begin();
      for (const port of [0, 1]) {
        const carrier = port << 16;
        transaction.addRemembered(
          { family: "ip", name: first.plane.table ?? "" },
          Uint8Array.of(...words(carrier), 10, 1, 2, 3),
          words((0x8000_0000 | carrier | port) >>> 0),
          { timeoutMs: 1_000_000n, expirationMs: 900_000n },
        );
      }
      await transaction.commit();
    }
    await using second = await TestPlane.open({ ownership: "none" });
    assert.deepEqual(await second.set(tableOf([sticky("one", own, [external])])), []);
    const name = second.plane.table ?? "";
    assert.match(nft("list", "map", "ip", name, "affinity"), /10\.1\.2\.3/);
  });

  it("PROXY-013: where others can change the tables, what they did is noticed, undone and told", async () => {
    await using plane = await TestPlane.open({ ownership: "none" });
    await plane.set(table());
    const name = (): string => plane.plane.table ?? "";
    const damage: readonly (readonly [RegExp, () => void])[] = [
      [/table ip portolan\S* was deleted/, () => nft("flush", "ruleset")],
      [/chain list_2 .* was changed/, () => nft("flush", "chain", "ip", name(), "list_2")],
      [
        /chain services .* was changed/,
        () => nft("insert", "rule", "ip", name(), "services", "drop"),
      ],
      [/set ops .* was changed/, () => nft("flush", "map", "ip", name(), "ops")],
      [
        /chain filter_forward .* was changed/,
        () => nft("add", "chain", "ip", name(), "filter_forward", "{ policy drop; }"),
      ],
      [
        /table ip portolan\S* was made dormant/,
        () => nft("add", "table", "ip", name(), "{ flags dormant; }"),
      ],
      [
        /1 elements were deleted from frontends/,
        () => nft("delete", "element", "ip", name(), "frontends", "{ 10.96.0.1 . tcp . 80 }"),
      ],
      [
        /1 elements were added to cluster_ips/,
        () => nft("add", "element", "ip", name(), "cluster_ips", "{ 10.96.0.77 }"),
      ],
      [
        /elements of external|elements of endpoints were changed/,
        () => {
          const list = nft("list", "map", "ip", name(), "endpoints");
          const [, key = ""] = /elements = \{ (\S+ \. \S+) :/.exec(list) ?? [];
          const element = (to: string): string => `{ ${key} : ${to} . 8080 }`;
          const [, old = ""] = /elements = \{ \S+ \. \S+ : (\S+)/.exec(list) ?? [];
          nft("delete", "element", "ip", name(), "endpoints", element(old));
          nft("add", "element", "ip", name(), "endpoints", element("10.244.0.77"));
        },
      ],
    ];
    for (const [message, act] of damage) {
      const before = plane.repairs.length;
      act();
      await until(() => plane.repairs.length > before);
      assert.match(plane.repairs.at(-1) ?? "", message);
      assert.ok(await isServed());
    }
    // Changes of other tables are none of ours.
    const before = plane.repairs.length;
    nft("add", "table", "ip", "somebody");
    await plane.plane.look();
    assert.equal(plane.repairs.length, before);
    nft("delete", "table", "ip", "somebody");
    // Nor are chains that came with a Service; but they are watched from then on.
    await plane.set(table([1, 2], { sessionAffinity: "ClientIP" }));
    nft("add", "table", "ip", "somebody");
    await plane.plane.look();
    assert.equal(plane.repairs.length, before);
    nft("flush", "chain", "ip", name(), "affinity_0_cluster_1");
    await until(() => plane.repairs.length > before);
    assert.match(plane.repairs.at(-1) ?? "", /chain affinity_0_cluster_1 .* was changed/);
    assert.ok(await isServed());
    nft("delete", "table", "ip", "somebody");
  });

  it("serves through the program nft where netlink cannot be used", async () => {
    await using plane = await TestPlane.open({ tables: new TextTables() });
    await plane.set(table([1, 2], { type: "NodePort", externalTrafficPolicy: "Local" }));
    assert.ok(await isServed());
    await plane.set(table([3]));
    const outcome = await network.tcp(WORLD, VIP, 80);
    assert.ok(outcome.kind === "answered" && outcome.by === "10.244.0.3");
    nft("delete", "table", "ip6", plane.plane.table ?? "");
    await until(() => plane.repairs.length > 0);
    assert.match(plane.repairs.join(), /^table ip6 portolan\S* was deleted/);
    await plane.set(
      table([3, 4], { sessionAffinity: "ClientIP", loadBalancerSourceRanges: ["10.0.0.0/8"] }),
    );
    assert.ok(await isServed());
  });

  it("removes its tables when asked, but not those of a running proxy", async () => {
    {
      await using plane = await TestPlane.open();
      await plane.set(table());
      using access = await openKernelAccess();
      await assert.rejects(removeTables(access.tables), NodeTakenError);
    }
    using access = await openKernelAccess();
    assert.equal((await removeTables(access.tables)).length, 2);
    assert.equal(nft("list", "tables"), "");
    assert.deepEqual(await removeTables(access.tables), []);
  });
});
