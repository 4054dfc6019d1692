// A whole program, started as a user does, against the API of proxy-api.mjs: memory, and how long from an
// event on the wire to the kernel.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NetlinkSocket } from "../src/kernel/netlink/netlink-socket.ts";
import { readGeneration } from "../src/kernel/nftables/kernel-state.ts";
import { cpuMs, percentile, temporaryFolder } from "./measure.mjs";
import { startApi } from "./proxy-api.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts `portolan proxy`; gives its process and what it is called. */
export function startProxyProgram(api) {
  return start("portolan proxy", ["proxy", "--kubeconfig", api.kubeconfig, "--node-name", "here", "--service-cidr", "10.128.0.0/12", "-o", "json"]);
}

/** Starts what a node of `portolan lab` runs: the agent, the proxy and DNS, in one process. */
export function startNodeProgram(api, dir) {
  const addresses = ["192.0.2.1", "fd00::1"];
  const clusterDns = ["192.0.2.53", "fd00::53"];
  for (const address of [...addresses, ...clusterDns]) execFileSync("ip", ["addr", "add", address, "dev", "lo", ...(address.includes(":") ? ["nodad"] : [])]);
  const config = {
    kind: "node",
    clusterDomain: "cluster.local",
    dir: join(dir, "node"),
    name: "here",
    addresses,
    podCidr: "10.0.0.0/24",
    secondPodCidr: "fd00:1::/64",
    nodeRanges: ["192.0.2.0/24", "fd00::/64"],
    podRanges: ["10.0.0.0/9", "fd00:1::/48"],
    serviceCidrs: ["10.128.0.0/12", "fd00:2::/112"],
    clusterDns,
    credentialsDir: dir,
  };
  mkdirSync(config.dir);
  writeFileSync(join(dir, "part.json"), JSON.stringify(config));
  return start("agent, proxy and DNS of a node", ["lab-part", "--part", join(dir, "part.json")]);
}

function start(name, args) {
  const nodeArgs = (process.env.PROXY_NODE_ARGS ?? "").split(" ").filter((arg) => arg !== "");
  return { name, child: spawn(process.execPath, [...nodeArgs, "dist/portolan.js", ...args], { stdio: ["ignore", "pipe", "inherit"] }) };
}

/** @param libc for the generation of this network namespace's rules. */
export async function programPart(libc, startProgram, services, endpoints, changes) {
  const dir = temporaryFolder();
  const api = await startApi(dir, services, endpoints);
  const began0 = performance.now();
  const { name: program, child } = startProgram(api, dir);
  await once(createInterface({ input: child.stdout }), "line");
  const readyMs = performance.now() - began0;
  const name = `${program}, ${services} x ${endpoints}`;
  const { rss, peak } = memory(child.pid);
  console.log(
    `${name}: every Service in the kernel ${(readyMs / 1000).toFixed(2)} s after its start, ${api.listedMb.toFixed(0)} MB of JSON listed over TLS, CPU ${(cpuMs(child.pid) / 1000).toFixed(2)} s; resident ${rss} MB, peak ${peak} MB`,
  );
  await pause(10_000);
  console.log(`${name}: resident ${memory(child.pid).rss} MB after 10 s of rest`);
  const socket = new NetlinkSocket(libc);
  const one = async (i, extra) => {
    const before = readGeneration(socket);
    const began = performance.now();
    await api.change(i, extra);
    while (readGeneration(socket) === before) await new Promise((resolve) => setImmediate(resolve));
    return performance.now() - began;
  };
  const times = [];
  for (let n = 0; n < 1000; n++) {
    const i = (n * 7919) % services;
    times.push(await one(i, `10.100.${n >> 8}.${n & 255}`), await one(i, undefined));
  }
  console.log(`${name}: event written by the API -> rules in the kernel, one at a time: p50 ${percentile(times, 50).toFixed(2)} ms, p99 ${percentile(times, 99).toFixed(2)} ms of ${times.length}`);
  const began = performance.now();
  const cpu = cpuMs(child.pid);
  for (let n = 0; n < changes; n++) {
    await api.change((n * 7919) % services, n % 2 === 0 ? `10.101.${(n >> 8) & 255}.${n & 255}` : undefined);
  }
  await one(0, "10.102.0.1");
  const seconds = (performance.now() - began) / 1000;
  const after = memory(child.pid);
  console.log(
    `${name}: ${changes} changes as fast as they are taken, in ${seconds.toFixed(1)} s, ${(((cpuMs(child.pid) - cpu) * 1000) / changes).toFixed(0)} us CPU each; resident ${after.rss} MB, peak so far ${after.peak} MB`,
  );
  await pause(10_000);
  console.log(`${name}: resident ${memory(child.pid).rss} MB after 10 s of rest, peak ${memory(child.pid).peak} MB`);
  socket[Symbol.dispose]();
  child.kill("SIGTERM");
  await once(child, "exit");
  api.close();
}

/** Resident memory now and at its highest (VmHWM), in megabytes of 2^20 bytes. */
function memory(pid) {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const [rss, peak] = ["VmRSS", "VmHWM"].map((name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)[1]) / 1024));
  return { rss, peak };
}
