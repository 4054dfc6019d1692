// The inside of bench/proxy.mjs: runs as the only process of a network namespace that is the node.
import { execFileSync, spawn } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { LiveTable } from "../src/core/proxy/live-table.ts";
import { ServiceParts } from "../src/core/proxy/service-parts.ts";
import { loadLibc } from "../src/kernel/libc.ts";
import { dumpFlows } from "../src/kernel/conntrack/conntrack.ts";
import { NetlinkSocket } from "../src/kernel/netlink/netlink-socket.ts";
import { NftablesDataPlane } from "../src/proxy/nftables/data-plane.ts";
import { NetlinkTables } from "../src/proxy/nftables/netlink-tables.ts";
import { trafficBody, TrafficCounters } from "../src/proxy/traffic.ts";
import { Metrics } from "../src/telemetry/metrics.ts";
import { conditions, median, percentile } from "./measure.mjs";

const parts = process.argv.slice(2);
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

console.log(conditions());
for (const part of parts) await { load, change, path, affinity, churn, throughput, repair, traffic }[part]();
process.exit(0);

/** Objects as the API gives them: a Service with `endpoints` endpoints, those of Service 0 where we can reach them. */
function objects(services, endpoints, spec = {}, address = podAddress) {
  return Array.from({ length: services }, (_, i) => {
    const name = `service-${String(i)}`;
    const vip = `10.${String(128 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`;
    const metadata = { name, namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" };
    const slices = [];
    for (let at = 0; at < endpoints; at += 100) {
      slices.push({
        metadata: {
          name: `${name}-${String(at)}`,
          namespace: "default",
          labels: { "kubernetes.io/service-name": name },
        },
        addressType: "IPv4",
        endpoints: Array.from({ length: Math.min(100, endpoints - at) }, (_, j) => ({
          addresses: [address(i, at + j, endpoints)],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: "there",
        })),
        ports: [{ name: "http", protocol: "TCP", port: 8080 }],
      });
    }
    const service = {
      metadata,
      spec: {
        type: "ClusterIP",
        clusterIP: vip,
        clusterIPs: [vip],
        ports: [{ name: "http", protocol: "TCP", port: 80 }],
        ...spec,
      },
    };
    return { service, slices };
  });
}

function podAddress(service, endpoint, perService) {
  const n = service * perService + endpoint + 65_536;
  return `10.${String(1 + (n >> 16))}.${String((n >> 8) & 255)}.${String(n & 255)}`;
}

async function openPlane(ownership = "auto", flows = undefined) {
  const tables = new NetlinkTables(libc, ownership);
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
    const all = objects(services, endpoints);
    const loaded = await openPlane();
    await put(loaded, all);
    const add = [];
    const remove = [];
    for (let i = 0; i < 1000; i++) {
      const { service, slices } = all[(i * 7919) % services];
      const last = slices.at(-1);
      const endpoint = { ...last.endpoints[0], addresses: [`10.100.${String(i >> 8)}.${String(i & 255)}`] };
      const more = [...slices.slice(0, -1), { ...last, endpoints: [...last.endpoints, endpoint] }];
      add.push(await timed(() => put(loaded, [{ service, slices: more }])));
      remove.push(await timed(() => put(loaded, [{ service, slices }])));
    }
    console.log(`change with ${services} x ${endpoints}: add ${spread(add)}, remove ${spread(remove)} (object to kernel's answer)`);
    await loaded.close();
  }
}

async function timed(act) {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

function spread(ms) {
  return `p50 ${percentile(ms, 50).toFixed(3)} ms, p99 ${percentile(ms, 99).toFixed(3)} ms`;
}

/** A Pod at 10.1.0.1 that answers, and a world outside: both ends' sockets belong to this process. */
function network() {
  const call = {
    setns: libc.func("int setns(int fd, int kind)"),
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    bind: libc.func("int bind(int fd, void *address, uint32_t length)"),
    listen: libc.func("int listen(int fd, int backlog)"),
    connect: libc.func("int connect(int fd, void *address, uint32_t length)"),
    accept: libc.func("int accept4(int fd, void *address, void *length, int flags)"),
    setsockopt: libc.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
    close: libc.func("int close(int fd)"),
  };
  const home = openSync("/proc/self/ns/net", "r");
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  const ip = (commands, where) =>
    execFileSync("ip", [...(where ? ["-n", where] : []), "-batch", "-"], { input: commands.join("\n") });
  if (!network.made) {
    ip(["link set lo up"]);
    for (const [name, own, gateway] of [
      ["world", "192.0.2.2", "192.0.2.1"],
      ["pod", "10.99.0.1", "10.99.0.254"],
    ]) {
      execFileSync("ip", ["netns", "add", name]);
      ip([`link add v-${name} type veth peer name eth0 netns ${name}`, `addr add ${gateway}/24 dev v-${name}`, `link set v-${name} up`]);
      ip([`addr add ${own}/24 dev eth0`, "link set eth0 up", "link set lo up", `route add default via ${gateway}`], name);
    }
    // The Pod answers at every address of 10.1.0.0/16: so many endpoints there are.
    ip(["route add 10.1.0.0/16 via 10.99.0.1"]);
    ip(["route add local 10.1.0.0/16 dev lo"], "pod");
    // Sources enough that conntrack's TIME_WAIT does not run out of ports.
    execFileSync("ip", ["netns", "exec", "world", "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65000"]);
    network.made = true;
  }
  const at = (name) => openSync(`/run/netns/${name}`, "r");
  const inside = (fd, act) => {
    call.setns(fd, 0x40000000);
    const result = act();
    call.setns(home, 0x40000000);
    return result;
  };
  const sockaddr = (address, port) => {
    const bytes = new Uint8Array(16);
    bytes.set([2, 0, port >> 8, port & 255, ...address.split(".").map(Number)]);
    return bytes;
  };
  const listener = inside(at("pod"), () => {
    const fd = call.socket(2, 1 | 0x800, 0);
    call.setsockopt(fd, 1, 2, new Uint8Array([1, 0, 0, 0]), 4);
    if (call.bind(fd, sockaddr("0.0.0.0", 8080), 16) !== 0 || call.listen(fd, 4096) !== 0) throw new Error("listen");
    return fd;
  });
  const world = at("world");
  const reset = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
  const end = (fd) => {
    call.setsockopt(fd, 1, 13, reset, 8);
    call.close(fd);
  };
  return {
    close: () => call.close(listener),
    /** Connects `count` times; microseconds of each. @throws on a failed connection. */
    connects(address, port, count) {
      const times = [];
      const to = sockaddr(address, port);
      const limit = new Uint8Array(16);
      new DataView(limit.buffer).setBigInt64(0, 5n, true);
      call.setns(world, 0x40000000);
      for (let i = 0; i < count; i++) {
        const fd = call.socket(2, 1, 0);
        // A lost SYN shows as a failure, not as a wait for ever.
        call.setsockopt(fd, 1, 21, limit, 16);
        const began = performance.now();
        const result = call.connect(fd, to, 16);
        times.push((performance.now() - began) * 1000);
        if (result !== 0) throw new Error(`connect ${address}: errno ${libc.errno()}`);
        end(call.accept(listener, null, null, 0));
        end(fd);
      }
      call.setns(home, 0x40000000);
      return times;
    },
  };
}

/** Endpoints of Service 0 are at addresses of the Pod that is there, those of others nowhere. */
function reachableAddress(service, endpoint, perService) {
  const n = endpoint + 1;
  return service === 0 ? `10.1.${String(n >> 8)}.${String(n & 255)}` : podAddress(service, endpoint, perService);
}

function reachable(services, endpoints, spec) {
  return objects(services, endpoints, spec, reachableAddress);
}

/** kube-proxy's manner: a chain for each Service with a verdict map of random numbers, and one for each endpoint. */
function chainPerService(services, endpoints, address, affinity) {
  const lines = [
    "add table ip peer",
    "add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "add set ip peer cluster-ips { type ipv4_addr; }",
    "add chain ip peer services",
    "add rule ip peer services ip daddr . meta l4proto . th dport vmap @service-ips",
    "add chain ip peer hide",
    "add rule ip peer hide meta mark set meta mark or 0x4000",
  ];
  const chunks = [];
  for (let i = 0; i < services; i++) {
    const vip = `10.${String(128 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`;
    const name = `service-${String(i)}`;
    const verdicts = [];
    for (let j = 0; j < endpoints; j++) {
      const endpoint = `endpoint-${String(i)}-${String(j)}`;
      lines.push(`add chain ip peer ${endpoint}`);
      if (affinity && i === 0) lines.push(`add set ip peer a-${endpoint} { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }`);
      lines.push(`add rule ip peer ${endpoint} ip saddr ${address(i, j, endpoints)} jump hide`);
      if (affinity && i === 0) lines.push(`add rule ip peer ${endpoint} update @a-${endpoint} { ip saddr }`);
      lines.push(`add rule ip peer ${endpoint} meta l4proto tcp dnat to ${address(i, j, endpoints)}:8080`);
      verdicts.push(`${String(j)} : goto ${endpoint}`);
    }
    lines.push(`add chain ip peer ${name}`);
    lines.push(`add rule ip peer ${name} ip daddr ${vip} tcp dport 80 ip saddr != 10.0.0.0/9 jump hide`);
    if (affinity && i === 0) {
      for (let j = 0; j < endpoints; j++) lines.push(`add rule ip peer ${name} ip saddr @a-endpoint-0-${String(j)} goto endpoint-0-${String(j)}`);
    }
    lines.push(`add rule ip peer ${name} numgen random mod ${String(endpoints)} vmap { ${verdicts.join(", ")} }`);
    lines.push(`add element ip peer service-ips { ${vip} . tcp . 80 : goto ${name} }`);
    lines.push(`add element ip peer cluster-ips { ${vip} }`);
  }
  // nft may not send more at once without root's rights outside of the namespace.
  while (lines.length > 0) chunks.push(lines.splice(0, 800).join("\n"));
  chunks.push(
    [
      "add chain ip peer prerouting { type nat hook prerouting priority -100; }",
      "add rule ip peer prerouting jump services",
      "add chain ip peer output { type nat hook output priority -100; }",
      "add rule ip peer output jump services",
      "add chain ip peer postrouting { type nat hook postrouting priority 100; }",
      "add rule ip peer postrouting meta mark and 0x4000 == 0 return",
      "add rule ip peer postrouting meta mark set meta mark xor 0x4000",
      "add rule ip peer postrouting masquerade fully-random",
      "add chain ip peer unreplied { type filter hook forward priority -110; }",
      "add rule ip peer unreplied ct state new jump services-filter",
    ]
      .join("\n")
      .replace("add chain ip peer unreplied", "add chain ip peer services-filter\nadd rule ip peer services-filter ip daddr @cluster-ips reject\nadd chain ip peer unreplied"),
  );
  return chunks;
}

function loadPeer(chunks) {
  const began = performance.now();
  for (const chunk of chunks) execFileSync("nft", ["-f", "-"], { input: `${chunk}\n`, maxBuffer: 1 << 26 });
  return performance.now() - began;
}

function dropPeer() {
  execFileSync("nft", ["delete", "table", "ip", "peer"]);
}

/** Rounds of connections, ours and the peer's in turn so that both see the same machine. */
async function path() {
  const net = network();
  const endpoints = 10;
  const all = (services) => reachable(services, endpoints);
  const peerServices = Number(process.env.PEER_SERVICES ?? 1000);
  const rounds = 9;
  const count = 2000;
  const results = {};
  const measure = (name, address, port) => {
    const times = net.connects(address, port, count);
    (results[name] ??= []).push(median(times));
  };
  const peer = chainPerService(peerServices, endpoints, reachableAddress);
  let peerMs = 0;
  for (let round = 0; round < rounds; round++) {
    measure("no rules, Pod's address", "10.1.0.1", 8080);
    for (const services of [10, peerServices]) {
      const loaded = await openPlane();
      await put(loaded, all(services));
      measure(`ours, ${services} Services`, "10.128.0.0", 80);
      await loaded.close();
    }
    if (round < 5) {
      peerMs = loadPeer(peer);
      measure(`peer, ${peerServices} Services`, "10.128.0.0", 80);
      dropPeer();
    }
  }
  const large = await openPlane();
  await put(large, all(30_000));
  for (let round = 0; round < rounds; round++) measure("ours, 30000 Services", "10.128.0.0", 80);
  await large.close();
  for (const [name, medians] of Object.entries(results)) {
    const us = median(medians);
    console.log(`path ${name}: connect p50 ${us.toFixed(1)} us (rounds ${Math.min(...medians).toFixed(1)}..${Math.max(...medians).toFixed(1)})`);
  }
  console.log(`path peer's load of ${peerServices} x ${endpoints}, in transactions of 800 commands: ${(peerMs / 1000).toFixed(1)} s`);
  net.close();
}

async function affinity() {
  const net = network();
  const spec = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } };
  const endpoints = 1000;
  const results = { ours: [], peer: [], none: [] };
  const all = reachable(1, endpoints, spec);
  const peer = chainPerService(1, endpoints, reachableAddress, true);
  for (let round = 0; round < 7; round++) {
    results.none.push(median(net.connects("10.1.0.1", 8080, 2000)));
    const loaded = await openPlane();
    await put(loaded, all);
    results.ours.push(median(net.connects("10.128.0.0", 80, 2000)));
    await loaded.close();
    loadPeer(peer);
    results.peer.push(median(net.connects("10.128.0.0", 80, 2000)));
    dropPeer();
  }
  for (const [name, medians] of Object.entries(results)) {
    console.log(`affinity, ${endpoints} endpoints, ${name}: connect p50 ${median(medians).toFixed(1)} us`);
  }
  net.close();
}

/** Endpoints come and go while connections are opened. */
async function churn() {
  const net = network();
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
    net.connects("10.128.0.0", 80, 20);
    connections += 20;
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(`churn: ${changes} changes of a Service's endpoints and ${connections} connections to it in ${seconds.toFixed(1)} s: 0 failed`);
  await loaded.close();
  net.close();
}

async function throughput() {
  const net = network();
  net.close();
  const server = spawn("ip", ["netns", "exec", "pod", "iperf3", "-s", "-p", "8080"], { stdio: "ignore" });
  const loaded = await openPlane();
  await put(loaded, reachable(10_000, 10));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const run = (address, port) => {
    const args = ["netns", "exec", "world", "iperf3", "-c", address, "-p", String(port), "-t", "2", "-J"];
    const { end } = JSON.parse(execFileSync("ip", args, { encoding: "utf8" }));
    return end.sum_received.bits_per_second / 1e9;
  };
  const direct = [];
  const service = [];
  for (let i = 0; i < 7; i++) {
    direct.push(run("10.1.0.1", 8080));
    service.push(run("10.128.0.0", 80));
  }
  console.log(
    `throughput: Pod's address ${median(direct).toFixed(1)} Gbit/s, Service of 10000 x 10 ${median(service).toFixed(1)} Gbit/s, ratio ${(median(service) / median(direct)).toFixed(3)}`,
  );
  server.kill();
  await loaded.close();
}

/** What a scrape costs with 10,000 Services: of the kernel's counters, and of conntrack with 20,000 connections. */
async function traffic() {
  const services = Number(process.env.SERVICES ?? 10_000);
  const net = network();
  const socket = new NetlinkSocket(libc);
  const flows = { dump: (family, protocol, each) => dumpFlows(socket, family, protocol, each), delete() {} };
  const loaded = await openPlane("auto", flows);
  await put(loaded, reachable(services, 10));
  net.connects("10.128.0.0", 80, Number(process.env.CONNECTS ?? 20_000));
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
  const [entries] = readFileSync("/proc/sys/net/netfilter/nf_conntrack_count", "utf8").split("\n");
  console.log(`traffic of ${services} Services, ${entries} connections in conntrack: /metrics ${spread(scrape)}; /traffic ${spread(json)}`);
  await loaded.close();
  net.close();
}

/** Somebody flushes all rules: how long until a Service answers again. */
async function repair() {
  const net = network();
  const loaded = await openPlane("none");
  await put(loaded, reachable(10_000, 10));
  const times = [];
  for (let i = 0; i < 5; i++) {
    const before = loaded.repairs.length;
    execFileSync("nft", ["flush", "ruleset"]);
    const began = performance.now();
    while (loaded.repairs.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    times.push(performance.now() - began);
    net.connects("10.128.0.0", 80, 1);
  }
  console.log(`repair of 10000 x 10 after a flush, tables not owned: ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  await loaded.close();
  const owned = await openPlane();
  await put(owned, reachable(10_000, 10));
  execFileSync("nft", ["flush", "ruleset"]);
  net.connects("10.128.0.0", 80, 100);
  console.log("repair, tables owned: a flush leaves them, 100 connections after it: 0 failed");
  await owned.close();
  net.close();
}
