import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { loadLibc } from "../../src/kernel/libc.ts";
import { NetlinkSocket } from "../../src/kernel/netlink/netlink-socket.ts";
import { readShape } from "../../src/kernel/nftables/kernel-state.ts";
import type { TableFamily, TableRef } from "../../src/kernel/nftables/batch.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import { affinityPack, baseChains, constantPack } from "../../src/proxy/nftables/program.ts";
import type { ChainPack } from "../../src/proxy/nftables/program.ts";
import { TextTables } from "../../src/proxy/nftables/text-tables.ts";
import type { KernelTables } from "../../src/proxy/nftables/kernel-tables.ts";
import { inNamespace } from "./in-namespace.ts";

/** One table of ours with everything but elements. */
async function write(
  tables: KernelTables,
  table: TableRef,
  packs: readonly ChainPack[],
): Promise<void> {
  const transaction = tables.begin();
  transaction.createTable(table, "for a test");
  transaction.createSets(table);
  const [first, ...rest] = packs;
  if (first !== undefined) transaction.createChains(table, first);
  await transaction.commit();
  // One more transaction each: without root's rights nft may not send much at once.
  for (const pack of rest) {
    const next = tables.begin();
    next.createChains(table, pack);
    await next.commit();
  }
  const last = tables.begin();
  last.createHooks(table, baseChains({ family: table.family, masquerade: "outside" }));
  await last.commit();
}

inNamespace(import.meta.url, () => {
  for (const family of ["ip", "ip6"] as const) {
    it(`${family}: nft makes the same rules of the program's text as we write by netlink`, async () => {
      const load = await loadLibc();
      assert.ok(load.kind === "loaded");
      using ours = new NetlinkTables(load.libc, "none");
      // nft 1.0 cannot write the rules that remember IPv6 clients.
      const packs = [
        constantPack(family, true),
        ...(family === "ip" ? [affinityPack(family, 0, 60)] : []),
      ];
      await write(ours, { family, name: "ours" }, packs);
      await write(new TextTables(), { family, name: "nft" }, packs);
      using socket = new NetlinkSocket(load.libc);
      const one = readShape(socket, { family, name: "ours" });
      const two = readShape(socket, { family, name: "nft" });
      assert.deepEqual(one.sets, named(two.sets));
      const listed = [listing(family, "ours"), listing(family, "nft")];
      const lines = listed.map((text) => text.split("\n"));
      const differing = (lines[0] ?? []).flatMap((line, i) =>
        line === lines[1]?.[i] ? [] : [[line, lines[1]?.[i]]],
      );
      assert.deepEqual(differing.slice(0, 10), []);
      assert.equal(lines[0]?.length, lines[1]?.length);
      assert.ok((listed[0] ?? "").split("\n").length > 300);
    });
  }
});

/** Without the anonymous sets that nft needs for "tcp, udp, sctp". */
function named(sets: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...sets].filter((name) => !name.startsWith("__set")));
}

/** The chains as nft lists them, without what only nft needs. */
function listing(family: TableFamily, name: string): string {
  const text = execFileSync("nft", ["-n", "list", "table", family, name], {
    encoding: "utf8",
    maxBuffer: 1 << 24,
  });
  return text
    .replaceAll("meta l4proto { 6, 17, 132 } ", "")
    .replaceAll(/ counter packets \d+ bytes \d+/g, " counter")
    .replace(/^table .*\n/, "")
    .replaceAll(/^\t\ttypeof .*\n/gm, "\t\ttype\n")
    .replaceAll(/^\t\ttype classid \. (mark|integer) : .*\n/gm, "\t\ttype\n")
    .split("\n\n")
    .sort()
    .join("\n\n");
}
