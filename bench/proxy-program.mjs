// The whole of `portolan proxy`, started as a user does, against the API of proxy-api.mjs: memory, and how long from an
// event on the wire to the kernel.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { NetlinkSocket } from "../src/kernel/netlink/netlink-socket.ts";
import { readGeneration } from "../src/kernel/nftables/kernel-state.ts";
import { cpuMs, percentile, temporaryFolder } from "./measure.mjs";
import { startApi } from "./proxy-api.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param libc for the generation of this network namespace's rules. */
export async function programPart(libc, services, endpoints, changes) {
  const api = await startApi(temporaryFolder(), services, endpoints);
  const args = ["proxy", "--kubeconfig", api.kubeconfig, "--node-name", "here", "--service-cidr", "10.128.0.0/12", "--healthz-bind-address", "127.0.0.1:10256", "-o", "json"];
  const nodeArgs = (process.env.PROXY_NODE_ARGS ?? "").split(" ").filter((arg) => arg !== "");
  const child = spawn(process.execPath, [...nodeArgs, "dist/portolan.js", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const { readyMs } = JSON.parse(line);
  const name = `program with ${services} x ${endpoints}`;
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
