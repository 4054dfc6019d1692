// The inside of bench/proxy.mjs: one part, as the only process of a network namespace that is the node.
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { LiveTable } from "../src/core/proxy/live-table.ts";
import { ServiceParts } from "../src/core/proxy/service-parts.ts";
import { loadLibc } from "../src/kernel/libc.ts";
import { dumpFlows } from "../src/kernel/conntrack/conntrack.ts";
import { NetlinkSocket } from "../src/kernel/netlink/netlink-socket.ts";
import { NftablesDataPlane } from "../src/proxy/nftables/data-plane.ts";
import { NetlinkTables } from "../src/proxy/nftables/netlink-tables.ts";
import { trafficBody, TrafficCounters } from "../src/proxy/traffic.ts";
import { Metrics } from "../src/telemetry/metrics.ts";
import { median } from "./measure.mjs";
import { changePart, spread } from "./proxy-change.mjs";
import { network } from "./proxy-network.mjs";
import { objects, reachable, reachableAddress } from "./proxy-objects.mjs";
import { pathPart } from "./proxy-path.mjs";
import { chainPerService, dropPeer, loadPeer } from "./proxy-peer.mjs";
import { profilePart } from "./proxy-profile.mjs";
import { programPart, startNodeProgram, startProxyProgram } from "./proxy-program.mjs";

const log = { debug() {}, info() {}, warn: console.log, error: console.log, with: () => log };
const { libc } = await loadLibc();
const node = {
  name: "here",
  zone: "a",
  nodePortAddresses: ["192.0.2.1"],
  internalRanges: ["10.0.0.0/9", "192.0.2.1/32"],
};
const settings = {
  podRanges: ["10.0.0.0/9"],
  internalRanges: node.internalRanges,
  serviceRanges: ["10.128.0.0/12"],
  masqueradeAll: false,
};

const part = process.argv[2];
await { load, change, path, profile, affinity, churn, throughput, repair, traffic, program, agent }[part]();
process.exit(0);

/** @param on runs what it is given in the node's namespace; default this process's is the node. */
async function openPlane(ownership = "auto", flows = undefined, on = (act) => act()) {
  const tables = on(() => new NetlinkTables(libc, ownership));
  const repairs = [];
  const onRepair = (what) => repairs.push(what);
  const plane = await NftablesDataPlane.open({ tables, flows, log, onRepair }, settings);
  const close = async () => {
    await plane[Symbol.asyncDispose]();
    tables[Symbol.dispose]();
    execFileSync("nft", ["flush", "ruleset"]);
  };
  return { plane, repairs, close, table: new LiveTable(), parts: new ServiceParts() };
}

async function put(loaded, all) {
  const parts = all.map(({ service, slices }) => loaded.parts.part(`default/${service.metadata.name}`, service, slices, node));
  await loaded.plane.apply(loaded.table.put(parts));
}

async function path() {
  await pathPart(libc, loadInto);
}

/** Where a connect's time goes: needs the program perf. */
async function profile() {
  await profilePart(libc, loadInto);
}

async function loadInto(net, services, endpoints) {
  const loaded = await openPlane("auto", undefined, net.onNode);
  await put(loaded, reachable(services, endpoints));
}

/** The whole program: memory, and changes from the wire to the kernel. */
async function program() {
  await wholeProgram(startProxyProgram);
}

/** The same of a lab's node. */
async function agent() {
  await wholeProgram(startNodeProgram);
}

async function wholeProgram(start) {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const services = Number(process.env.SERVICES ?? 10_000);
  await programPart(libc, start, services, Number(process.env.ENDPOINTS ?? 10), Number(process.env.CHANGES ?? 20_000));
}

/** Bytes of the kernel's objects of general sizes: where elements of sets live. */
function slabMb() {
  const lines = readFileSync("/proc/slabinfo", "utf8").split("\n");
  const sizes = lines.filter((line) => line.startsWith("kmalloc")).map((line) => line.split(/\s+/));
  return sizes.reduce((sum, [, active, , size]) => sum + Number(active) * Number(size), 0) / 2 ** 20;
}

function rssMb() {
  return process.memoryUsage.rss() / 2 ** 20;
}

async function load() {
  const sizes = process.env.SERVICES
    ? [[Number(process.env.SERVICES), Number(process.env.ENDPOINTS ?? 10)]]
    : [
        [1000, 10],
        [10_000, 10],
        [5000, 50],
      ];
  for (const [services, endpoints] of sizes) {
    globalThis.gc();
    const before = rssMb();
    const all = objects(services, endpoints);
    globalThis.gc();
    const withObjects = rssMb();
    const slab = slabMb();
    let peak = 0;
    const loaded = await openPlane();
    const timer = setInterval(() => (peak = Math.max(peak, rssMb())), 20);
    const cpu = process.cpuUsage();
    const began = performance.now();
    await put(loaded, all);
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    peak = Math.max(peak, rssMb());
    clearInterval(timer);
    globalThis.gc();
    console.log(
      `load ${services} x ${endpoints}: ${(ms / 1000).toFixed(2)} s from objects to kernel (CPU ${((user + system) / 1e6).toFixed(2)} s, of it kernel ${(system / 1e6).toFixed(2)}); process ${peak.toFixed(0)} MB peak, ` +
        `${rssMb().toFixed(0)} MB after (objects ${(withObjects - before).toFixed(0)} MB, before ${before.toFixed(0)} MB); kernel ${(slabMb() - slab).toFixed(1)} MB`,
    );
    await loaded.close();
  }
}

async function change() {
  const sizes = process.env.SERVICES
    ? [[Number(process.env.SERVICES), Number(process.env.ENDPOINTS ?? 10)]]
    : [
        [1000, 10],
        [10_000, 10],
        [1, 5000],
      ];
  for (const [services, endpoints] of sizes) {
    const loaded = await openPlane();
    await changePart(loaded.plane, log, services, endpoints);
    await loaded.close();
  }
}

async function timed(act) {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

async function affinity() {
  const net = network(libc);
  const spec = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } };
  const endpoints = 1000;
  const results = { ours: [], peer: [], none: [] };
  const all = reachable(1, endpoints, spec);
  const peer = chainPerService(1, endpoints, reachableAddress, true);
  for (let round = 0; round < 7; round++) {
    results.none.push(median(net.connects(["10.1.0.1"], 8080, 2000, "client").times));
    const loaded = await openPlane();
    await put(loaded, all);
    results.ours.push(median(net.connects(["10.128.0.0"], 80, 2000, "client").times));
    await loaded.close();
    loadPeer(peer);
    results.peer.push(median(net.connects(["10.128.0.0"], 80, 2000, "client").times));
    dropPeer();
  }
  for (const [name, medians] of Object.entries(results)) {
    console.log(`affinity, ${endpoints} endpoints, ${name}: connect p50 ${median(medians).toFixed(1)} us`);
  }
}

/** Endpoints come and go while connections are opened. */
async function churn() {
  const net = network(libc);
  const loaded = await openPlane();
  const total = Number(process.env.CHANGES ?? 100_000);
  const all = reachable(100, 10);
  await put(loaded, all);
  const base = all[0];
  let changes = 0;
  let connections = 0;
  const began = performance.now();
  while (changes < total) {
    for (let i = 0; i < 20; i++, changes++) {
      const [slice] = base.slices;
      const endpoints = Array.from({ length: 1 + ((changes * 31) % 9) }, (_, j) => ({
        ...slice.endpoints[0],
        addresses: [reachableAddress(0, (j + changes) % 10, 10)],
      }));
      await put(loaded, [{ service: base.service, slices: [{ ...slice, endpoints }] }]);
    }
    net.connects(["10.128.0.0"], 80, 20);
    connections += 20;
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(`churn: ${changes} changes of a Service's endpoints and ${connections} connections to it in ${seconds.toFixed(1)} s: 0 failed`);
  await loaded.close();
}

/** Established connections: through a Service, and with no rules at all, each in a node of its own. */
async function throughput() {
  const bare = network(libc, "plain");
  const ours = network(libc, "loaded");
  const loaded = await openPlane("auto", undefined, ours.onNode);
  await put(loaded, reachable(10_000, 10));
  for (const net of [bare, ours]) net.close();
  const servers = [bare, ours].map((net) => spawn("ip", ["netns", "exec", net.pod, "iperf3", "-s", "-p", "8080"], { stdio: "ignore" }));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const run = (net, address, port) => {
    const args = ["netns", "exec", net.client, "iperf3", "-c", address, "-p", String(port), "-t", "2", "-J"];
    const { end } = JSON.parse(execFileSync("ip", args, { encoding: "utf8" }));
    return end.sum_received.bits_per_second / 1e9;
  };
  const direct = [];
  const service = [];
  for (let i = 0; i < Number(process.env.ROUNDS ?? 20); i++) {
    // In turn, and each is first in every second round: what a machine does otherwise drifts.
    const pairs = [() => direct.push(run(bare, "10.1.0.1", 8080)), () => service.push(run(ours, "10.128.0.0", 80))];
    for (const act of i % 2 === 0 ? pairs : pairs.toReversed()) act();
  }
  const ratios = service.map((each, i) => each / direct[i]);
  console.log(
    `throughput, ${direct.length} rounds in turn: no rules and the Pod's address ${median(direct).toFixed(1)} Gbit/s, Service of 10000 x 10 ${median(service).toFixed(1)} Gbit/s; median of the rounds' ratios ${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)})`,
  );
  for (const server of servers) server.kill();
}

/** What a scrape costs with 10,000 Services: of the kernel's counters, and of conntrack with 20,000 connections. */
async function traffic() {
  const services = Number(process.env.SERVICES ?? 10_000);
  const net = network(libc);
  const socket = new NetlinkSocket(libc);
  const flows = { dump: (family, protocol, each) => dumpFlows(socket, family, protocol, each), delete() {} };
  const loaded = await openPlane("auto", flows);
  await put(loaded, reachable(services, 10));
  net.connects(["10.128.0.0"], 80, Number(process.env.CONNECTS ?? 20_000));
  const [entries] = readFileSync("/proc/sys/net/netfilter/nf_conntrack_count", "utf8").split("\n");
  const metrics = new Metrics();
  const counters = new TrafficCounters({ read: (open) => loaded.plane.traffic(open), metrics, log });
  const scrape = [];
  const json = [];
  for (let i = 0; i < 20; i++) {
    scrape.push(
      await timed(async () => {
        await counters.refresh();
        metrics.render();
      }),
    );
    json.push(await timed(async () => trafficBody(await loaded.plane.traffic(true))));
  }
  console.log(`traffic of ${services} Services, ${entries} connections in conntrack: /metrics ${spread(scrape)}; /traffic ${spread(json)}`);
  await loaded.close();
}

/** Somebody flushes all rules: how long until a Service answers again. */
async function repair() {
  const net = network(libc);
  const loaded = await openPlane("none");
  await put(loaded, reachable(10_000, 10));
  const times = [];
  for (let i = 0; i < 5; i++) {
    const before = loaded.repairs.length;
    execFileSync("nft", ["flush", "ruleset"]);
    const began = performance.now();
    while (loaded.repairs.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    times.push(performance.now() - began);
    net.connects(["10.128.0.0"], 80, 1);
  }
  console.log(`repair of 10000 x 10 after a flush, tables not owned: ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  await loaded.close();
  const owned = await openPlane();
  await put(owned, reachable(10_000, 10));
  execFileSync("nft", ["flush", "ruleset"]);
  net.connects(["10.128.0.0"], 80, 100);
  console.log("repair, tables owned: a flush leaves them, 100 connections after it: 0 failed");
  await owned.close();
}
