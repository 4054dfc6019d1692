// node bench/endpoints.mjs [pods]: one Service with many Pods (first sync, then readiness flips).
// node bench/endpoints.mjs curve [services ...]: Services with 10 Pods each, from no slices to all of them.
// Store, API server and the loops are in one process (endpoints-cluster.mjs); Pods are objects only.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { bundle, conditions, percentile, temporaryFolder } from "./measure.mjs";

const outfile = await bundle("bench/endpoints-cluster.mjs");
const dir = temporaryFolder();
console.log(conditions());
if (process.argv[2] === "curve") {
  const sizes = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [1000, 2000, 5000, 10_000];
  for (const services of sizes) {
    const result = await settle(services, 10);
    console.log(
      `${String(services).padStart(6)} Services x 10 Pods: all slices ${seconds(result.slicesMs)}, all Endpoints too ${seconds(result.settledMs)}; CPU ${seconds(result.cpuMs)} (${(result.cpuMs / services).toFixed(2)} ms a Service); peak ${result.peakMb.toFixed(0)} MB; idle ${result.idlePercent.toFixed(1)} % CPU; ${String(result.sliceWrites)} slice writes, later ${String(result.laterWrites)}`,
    );
  }
} else {
  const pods = Number(process.argv[2] ?? 5000);
  const result = await settle(1, pods, 300);
  const p = (n) => percentile(result.times, n).toFixed(1);
  console.log(`1 Service x ${String(pods)} Pods: first sync ${seconds(result.slicesMs)} (${String(result.sliceWrites)} slices), Endpoints too ${seconds(result.settledMs)}`);
  console.log(`a Pod's readiness flips, ${String(result.times.length)} times: slice seen p50 ${p(50)} ms, p99 ${p(99)} ms, max ${p(100)} ms after the Pod write's acknowledgement; ${result.flipCpuMs.toFixed(1)} ms CPU of the whole process for each; at most ${String(result.mostWrites)} slice written for one, ${String(result.laterWrites)} more in all`);
}

async function settle(services, podsEach, flips) {
  const data = join(dir, `${String(services)}-${String(podsEach)}`);
  const numbers = [services, podsEach].map(String);
  await run("load", data, ...numbers);
  return flips === undefined ? run("settle", data, ...numbers) : run("flip", data, ...numbers, String(flips));
}

async function run(...args) {
  const child = spawn(process.execPath, [outfile, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const chunk of child.stdout) text += String(chunk);
  if (text === "") throw new Error(`${args.join(" ")} ended without a result`);
  return JSON.parse(text);
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}
