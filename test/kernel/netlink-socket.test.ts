import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { loadLibc } from "../../src/kernel/libc.ts";
import { NetlinkError, NetlinkSocket } from "../../src/kernel/netlink/netlink-socket.ts";
import { Batch } from "../../src/kernel/nftables/batch.ts";
import { ElementWriter } from "../../src/kernel/nftables/element-writer.ts";
import { dumpElements, readShape } from "../../src/kernel/nftables/kernel-state.ts";
import { KernelRefusal } from "../../src/proxy/nftables/kernel-tables.ts";
import { words } from "../../src/proxy/nftables/key-bytes.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import { inNamespace } from "./in-namespace.ts";
import { smallBuffers, tappedLibc } from "./tapped-libc.ts";

const TABLE = { family: "ip", name: "here" } as const;
const SET = { name: "numbers", flags: 0, key: ["mark"], data: undefined } as const;

function nft(...args: readonly string[]): void {
  execFileSync("nft", args);
}

inNamespace(import.meta.url, () => {
  /** A set of so many numbers. */
  async function fill(count: number): Promise<void> {
    const load = await loadLibc();
    assert.ok(load.kind === "loaded");
    using socket = new NetlinkSocket(load.libc);
    const writer = new ElementWriter("add", TABLE, SET.name);
    for (let i = 0; i < count; i++) writer.add(words(i));
    const batch = new Batch();
    batch.newTable(TABLE, 0, "");
    batch.newSet(TABLE, SET, 1);
    batch.addMessages(writer.finish());
    assert.deepEqual(socket.request(batch.finish()).failures, []);
  }

  /** A socket with which `act` is done between the first two datagrams of a dump. */
  async function disturbed(act: () => void): Promise<NetlinkSocket> {
    let received = 0;
    const libc = await tappedLibc({
      recv:
        (real) =>
        (...args) => {
          // Before it asks, a socket looks whether something is left over.
          if (++received === 3) act();
          return real(...args);
        },
    });
    return new NetlinkSocket(libc);
  }

  it("a list is whole though somebody deletes what stands before in it meanwhile", async () => {
    const chains = Array.from({ length: 3000 }, (_, i) => `chain other-${String(i)} {}`).join("\n");
    execFileSync("nft", ["-f", "-"], { input: `table ip aside {\n${chains}\n}\n` });
    await fill(1);
    const own = Array.from({ length: 100 }, (_, i) => `own-${String(i)}`);
    for (const chain of own) nft("add", "chain", "ip", TABLE.name, chain);
    using socket = await disturbed(() => {
      nft("delete", "table", "ip", "aside");
    });
    assert.deepEqual([...readShape(socket, TABLE).chains.keys()].sort(), own.sort());
    nft("flush", "ruleset");
  });

  it("a dump that cannot go on fails, instead of giving a part for all", async () => {
    await fill(10_000);
    using socket = await disturbed(() => {
      nft("flush", "ruleset");
    });
    assert.throws(
      () => {
        dumpElements(socket, TABLE, SET.name, () => undefined);
      },
      (error) => error instanceof NetlinkError && error.errno === 2,
    );
  });

  it("of more refusals than its buffer takes it tells the first ones", async () => {
    using socket = new NetlinkSocket(await smallBuffers());
    const batch = new Batch();
    for (let i = 0; i < 5000; i++) batch.deleteTable({ family: "ip", name: `no-${String(i)}` });
    const { failures } = socket.request(batch.finish());
    const [first] = failures;
    assert.deepEqual({ errno: first?.errno, sequence: first?.sequence }, { errno: 2, sequence: 2 });
    // What was left over is no answer to the next request.
    const next = new Batch();
    next.newTable(TABLE, 0, "");
    next.deleteTable(TABLE);
    assert.deepEqual(socket.request(next.finish()).failures, []);
  });

  it("names the set whose element is refused, whichever of a transaction's it is", async () => {
    const load = await loadLibc();
    assert.ok(load.kind === "loaded");
    using tables = new NetlinkTables(load.libc, "none");
    const build = tables.begin();
    build.createTable(TABLE, "for a test");
    build.createSets(TABLE);
    build.elements(TABLE).add("cluster_ips", words(1));
    await build.commit();
    const change = tables.begin();
    change.elements(TABLE).delete("cluster_ips", words(1));
    change.elements(TABLE).delete("hairpin", words(1, 1));
    await assert.rejects(
      change.commit(),
      (error) => error instanceof KernelRefusal && error.part?.name === "hairpin",
    );
    nft("flush", "ruleset");
  });
});
