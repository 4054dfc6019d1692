import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { NodeTakenError } from "../../src/proxy/nftables/data-plane.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";

const POD = { name: "p1", v4: "10.244.0.1", v6: "fd00:244::1" };

/** Service web at 10.96.0.1:80 with the one Pod. */
function table(spec: Parameters<typeof service>[0] = {}): ForwardingTable {
  return forwardingTable({
    services: [service(spec)],
    slices: [slice([`${POD.v4} ready @here`])],
    node: NODE,
  });
}

async function withPod(): Promise<Network> {
  const network = await Network.open();
  network.addPod(POD.name, POD.v4, POD.v6);
  await network.serve(POD.name, 8080);
  return network;
}

function nft(...args: readonly string[]): string {
  return execFileSync("nft", args, { encoding: "utf8" });
}

inNamespace(import.meta.url, () => {
  it("owns its tables: a flush of the whole ruleset by others does not touch them", async () => {
    await using network = await withPod();
    await using plane = await TestPlane.open();
    await plane.set(table());
    nft("flush", "ruleset");
    const outcome = await network.tcp({ from: "world" }, "10.96.0.1", 80);
    assert.equal(outcome.kind, "answered");
    await plane.plane.look();
    assert.deepEqual(plane.repairs, []);
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
});
