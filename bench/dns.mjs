// What `portolan dns` costs a question, beside other servers on the same machine in the same run:
// npm run build && node bench/dns.mjs [SERVICES HEADLESS ENDPOINTS [SECONDS [alone]]]; alone: without the other servers.
// The load generator has the same cores. CPU is the server's processes' own, user and system.
import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { startApi } from "./dns-api.mjs";
import { questions } from "./dns-cluster.mjs";
import { yardsticks } from "./dns-yardsticks.mjs";
import { conditions, cpuMs, median, percentile, residentMb } from "./measure.mjs";

const [services = 9000, headless = 1000, endpoints = 100, seconds = 3] = process.argv.slice(2, 6).map(Number);
const isAlone = process.argv[6] === "alone";
const SAMPLES = 3;
const dir = mkdtempSync(join(tmpdir(), "portolan-dns-bench-"));
const asked = join(dir, "questions");
const blaster = "dist/bench-dns-blast.js";
await build({ entryPoints: ["bench/dns-blast.mjs"], outfile: blaster, bundle: true, format: "esm", platform: "node", target: "node20.19", packages: "external", logLevel: "warning" });
writeFileSync(asked, questions(100_000, services, headless, endpoints).map((each) => `${each.join(" ")}\n`).join(""));

console.log(conditions());
console.log(`${services} Services, ${headless} headless of ${endpoints} endpoints, one of 5,000; ${SAMPLES} samples of ${seconds} s, medians`);
const api = await startApi(services, headless, endpoints);
const kubeconfig = join(dir, "kubeconfig");
writeFileSync(
  kubeconfig,
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: api.url } }],
    users: [{ name: "u", user: {} }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  }),
);
// A limit that nobody reaches: what counting costs.
const limited = ["--rate-limit", "999999999"];
for (const [workers, more] of [[2, []], [2, limited], [0, []], [0, limited]]) {
  const { child, port } = await startPortolan(workers, more);
  const idleMb = decimalMb(child.pid);
  // Until each question was asked once: the threads' answers are made then.
  warmUp(port);
  measure(["portolan dns --workers", workers, ...more].join(" "), port, child.pid);
  console.log(`  resident: ${idleMb.toFixed(0)} MB before the first question, ${decimalMb(child.pid).toFixed(0)} MB after all`);
  if (workers > 0 && more.length === 0) await changes(port, child.pid);
  child.kill("SIGTERM");
  await once(child, "exit");
}
let port = 20_053;
for (const [name, start] of isAlone ? [] : await yardsticks(dir, [services, headless, endpoints])) {
  port += 1;
  const child = start(port);
  await answers(port);
  warmUp(port);
  measure(name, port, child.pid);
  child.kill("SIGTERM");
  await once(child, "exit");
}
api.close();
rmSync(dir, { recursive: true });

async function startPortolan(workers, more) {
  const args = ["dist/portolan.js", "dns", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0", "--workers", String(workers), ...more, "-o", "json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, port: Number(JSON.parse(line).dns.split(":").at(-1)) };
  }
  throw new Error("portolan dns ended before it was ready");
}

/** Resident memory in megabytes of 10^6 bytes. */
function decimalMb(pid) {
  return residentMb(pid) * 1.048576;
}

function blast(toPort, forSeconds) {
  const { stdout, stderr } = spawnSync(process.execPath, [blaster, toPort, forSeconds, asked].map(String), { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

function warmUp(toPort) {
  for (let total = 0; total < 300_000; ) total += blast(toPort, 2).answers;
}

function measure(name, toPort, pid) {
  const samples = Array.from({ length: SAMPLES }, () => {
    const before = treeCpuMs(pid);
    const { answers: count, ms, codes } = blast(toPort, seconds);
    return { perSecond: (count / ms) * 1000, us: ((treeCpuMs(pid) - before) * 1000) / count, codes };
  });
  const perSecond = Math.round(median(samples.map((each) => each.perSecond)));
  const us = median(samples.map((each) => each.us));
  console.log(`${name}: ${perSecond} questions/s, ${us.toFixed(2)} us CPU each, codes ${JSON.stringify(samples[0].codes)}`);
  return { perSecond, us };
}

/** Of a process and all below it: NSD answers in children. */
function treeCpuMs(pid) {
  const parents = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const children = parents.filter((name) => {
    try {
      return Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1].split(" ")[1]) === pid;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
  return cpuMs(pid) + children.reduce((sum, child) => sum + treeCpuMs(Number(child)), 0);
}

/** How long a change of an endpoint takes from the API's event to the answer, with nothing else to do. */
async function changes(toPort, pid) {
  const socket = createSocket("udp4");
  const name = "large-4-999.large.default.svc.cluster.local";
  const ask = () =>
    new Promise((resolve) => {
      socket.once("message", (message) => resolve((message[3] & 15) === 0));
      socket.send(query(name), toPort, "127.0.0.1");
    });
  const times = [];
  const before = cpuMs(pid);
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    const isThere = api.change();
    while ((await ask()) !== isThere);
    times.push(performance.now() - began);
  }
  socket.close();
  console.log(
    `  endpoint of 5,000 changed 200 times: event written to answer changed p50 ${median(times).toFixed(1)} ms, p99 ${percentile(times, 99).toFixed(1)} ms; ${((cpuMs(pid) - before) / 200).toFixed(1)} ms CPU each, with reading 1,000 endpoints of JSON and the questions asked meanwhile`,
  );
}

/** Waits until a server answers. */
async function answers(toPort) {
  const socket = createSocket("udp4");
  const answered = new Promise((resolve) => socket.once("message", resolve));
  const timer = setInterval(() => socket.send(query("svc-1.default.svc.cluster.local"), toPort, "127.0.0.1"), 200);
  socket.on("error", () => undefined);
  await answered;
  clearInterval(timer);
  socket.close();
}

function query(name) {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}
