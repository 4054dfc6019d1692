import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, it } from "node:test";
import { loadLibc } from "../../src/kernel/libc.ts";
import type { Started } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { fillConntrack } from "./fill-conntrack.ts";
import { inNamespace } from "./in-namespace.ts";
import { NODE_NAME, ProgramCluster } from "./program-cluster.ts";

const DROPPED = "portolan_proxy_conntrack_dropped_packets_total";
const ENTRIES = "portolan_proxy_conntrack_entries";

/**
 * The limit is the machine's (nf_conntrack_max can be read but not set in another network namespace), and what counts
 * towards it is this namespace's own: so it is reached for real, by as many flows as the machine allows.
 */
inNamespace(import.meta.url, () => {
  let cluster: ProgramCluster;
  let proxy: Started;

  before(async () => {
    cluster = await ProgramCluster.start();
    await cluster.expose("web", ["10.244.0.1 ready @here"], {
      type: "ClusterIP",
      externalIPs: ["203.0.113.9"],
    });
    proxy = await cluster.proxy();
  });

  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  it("a table of connections that fills up is told of, nearly and quite; open ones go on; and when there is room all is well", async () => {
    const load = await loadLibc();
    assert.ok(load.kind === "loaded");
    const max = Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_max", "utf8"));
    await cluster.untilAnswered("10.244.0.1", "203.0.113.9");
    const held = await cluster.network.hold({ from: "world" }, "203.0.113.9", 80);

    const most = Math.ceil(max * 0.93);
    assert.equal(fillConntrack(load.libc, most, 0), most);
    const warning = await cluster.event("ConntrackNearlyFull", "Node", NODE_NAME);
    assert.match(warning.message ?? "", /raise net\.netfilter\.nf_conntrack_max/);
    assert.equal(await cluster.answers("203.0.113.9"), "10.244.0.1");
    // The Event may be of a look while they were still being made; the metric is the last look's.
    await eventually("all are counted", async () => (await cluster.metric(ENTRIES)) >= most);
    assert.equal(await cluster.metric(DROPPED), 0);

    assert.ok(fillConntrack(load.libc, max, most) < max);
    assert.equal(await cluster.answers("203.0.113.9"), "silence");
    assert.equal(await held.echo("still here"), "still here");
    const full = await cluster.event("ConntrackFull", "Node", NODE_NAME);
    assert.equal(full.type, "Warning");
    assert.match(full.message ?? "", /new connections are dropped .*those that are open go on/);
    await eventually("drops are counted", async () => (await cluster.metric(DROPPED)) > 0);
    assert.equal(await held.echo("and still"), "and still");
    held.end();

    execFileSync("conntrack", ["-F"], { stdio: "ignore" });
    await cluster.untilAnswered("10.244.0.1", "203.0.113.9");
    const room = await cluster.event("ConntrackHasRoom", "Node", NODE_NAME);
    assert.equal(room.type, "Normal");
    await eventually("few are counted", async () => (await cluster.metric(ENTRIES)) < max * 0.5);
  });
});
