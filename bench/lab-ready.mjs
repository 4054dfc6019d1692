// node bench/lab-ready.mjs [nodes] [rounds]: Pod Ready -> a packet arrives through the Service's address from every node
// of a lab. A real Pod runs on each node. A Service selects Pods of a node without agent that have the same addresses, so
// that this bench itself writes when they are ready: one at a time, with no other endpoint. Two beginnings are told:
// before the request that writes Ready=True is sent from the host, and when it is answered, which is a little after
// the write. An end is the first connection that the Pod accepts, tried from each node every 2 ms. Of the slowest tenth it
// is also told for how long the main threads of the lab's processes ran meanwhile, and waited for a processor.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { apiOf, simulateNode } from "./api.mjs";
import { bundle, conditions, percentile, temporaryFolder } from "./measure.mjs";

const nodeCount = Number(process.argv[2] ?? 10);
const rounds = Number(process.argv[3] ?? 5);
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const prober = await bundle("bench/lab-ready-inside.mjs");
const home = temporaryFolder();
const env = { ...process.env, HOME: home, XDG_STATE_HOME: home, TMPDIR: home };
const lab = spawn(process.execPath, ["dist/portolan.js", "lab", "up", "-o", "json", "--nodes", String(nodeCount)], {
  env,
  stdio: ["ignore", "pipe", "inherit"],
});
const labEnded = new Promise((resolve) => lab.once("exit", resolve));
const [{ kubeconfig }] = await lines(lab, 1);
const api = await apiOf(kubeconfig);

const pods = Array.from({ length: nodeCount }, (_, i) => `pod-${String(i + 1)}`);
for (const [i, name] of pods.entries()) {
  await api.post("/api/v1/namespaces/default/pods", {
    metadata: { name },
    spec: {
      nodeName: `node-${String(i + 1)}`,
      containers: [{ name: "main", image: "portolan.dev/whoami" }],
    },
  });
}
const lease = await simulateNode(api, "elsewhere");
const service = await api.post("/api/v1/namespaces/default/services", {
  metadata: { name: "ready" },
  spec: { selector: { app: "ready" }, ports: [{ port: 80, targetPort: 8080, protocol: "TCP" }] },
});
for (const name of pods) await mirror(name);

const { holders } = JSON.parse(readFileSync(join(home, "portolan", "labs", "lab.json"), "utf8"));
const pids = Object.entries(holders).filter(([name]) => name.startsWith("node-")).map(([, pid]) => String(pid));
const inside = spawn(
  process.execPath,
  ["dist/portolan.js", "lab", "exec", "world", "--", process.execPath, prober, service.spec.clusterIP, "80", ...pids],
  { env, stdio: ["pipe", "pipe", "inherit"] },
);
const answers = createInterface({ input: inside.stdout })[Symbol.asyncIterator]();
await answers.next();
const until = async (wanted) => {
  inside.stdin.write(`${JSON.stringify({ wanted })}\n`);
  return JSON.parse((await answers.next()).value).times;
};

await until("closed");
const names = ["Ready=True sent", "Ready=True answered"];
const each = names.map(() => []);
const slowest = names.map(() => []);
const turns = [];
const parts = descendants(lab.pid);
// The first round is for warmth.
for (let round = 0; round <= rounds; round++) {
  for (const name of pods) {
    const opened = until("open");
    await pause(30);
    const before = parts.map(schedule);
    const began = nowMs();
    await setReady(name, "True");
    const beginnings = [began, nowMs()];
    const times = await opened;
    const spent = parts.map((pid, i) => schedule(pid).map((ms, j) => ms - before[i][j]));
    if (round > 0) turns.push({ ms: Math.max(...times) - began, ran: spent.map(([ran]) => ran), waited: spent.map(([, waited]) => waited) });
    for (const [i, beginning] of beginnings.entries()) {
      if (round === 0) continue;
      // A node may be there before the answer is.
      each[i].push(...times.map((at) => Math.max(0, at - beginning)));
      slowest[i].push(Math.max(0, ...times.map((at) => at - beginning)));
    }
    await setReady(name, "False");
    await until("closed");
  }
}
const told = (values) =>
  `p50 ${percentile(values, 50).toFixed(1)} ms, p99 ${percentile(values, 99).toFixed(1)} ms, max ${Math.max(...values).toFixed(1)} ms`;
console.log(conditions());
console.log(`${String(nodeCount)} nodes, ${String(slowest[0].length)} times a Pod became ready, ${String(each[0].length)} first connections`);
for (const [i, name] of names.entries()) {
  console.log(`${name} -> a node's connection: ${told(each[i])}`);
  console.log(`${name} -> connections from every node: ${told(slowest[i])}`);
}
turns.sort((a, b) => b.ms - a.ms);
for (const [which, some] of [
  ["slowest tenth", turns.slice(0, Math.ceil(turns.length / 10))],
  ["fastest half", turns.slice(Math.floor(turns.length / 2))],
]) {
  const middle = (value) => percentile(some.map(value), 50).toFixed(1);
  const sum = (all) => all.reduce((total, each) => total + each, 0);
  console.log(
    `${which}: ${middle(({ ms }) => ms)} ms; ${String(parts.length)} processes ran ${middle(({ ran }) => sum(ran))} ms in all, the busiest ${middle(({ ran }) => Math.max(...ran))} ms; they waited ${middle(({ waited }) => sum(waited))} ms for a processor, one of them ${middle(({ waited }) => Math.max(...waited))} ms (medians)`,
  );
}
clearInterval(lease);
inside.stdin.end();
lab.kill("SIGTERM");
await labEnded;
rmSync(home, { recursive: true, force: true });
process.exit(0);

/** The lab's processes but those of Pods: the ones that Node runs. */
function descendants(pid) {
  const children = readdirSync(`/proc/${String(pid)}/task`).flatMap((task) => readFileSync(`/proc/${String(pid)}/task/${task}/children`, "utf8").split(" ").filter((text) => text !== "").map(Number));
  const isNode = readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").includes("portolan.js");
  return [...(isNode ? [pid] : []), ...children.flatMap(descendants)];
}

/** Milliseconds that a process's main thread ran, and that it was ready to run and did not. */
function schedule(pid) {
  return readFileSync(`/proc/${String(pid)}/schedstat`, "utf8").split(" ").slice(0, 2).map((ns) => Number(ns) / 1e6);
}

async function lines(child, count) {
  const all = [];
  for await (const line of createInterface({ input: child.stdout })) {
    all.push(JSON.parse(line));
    if (all.length === count) return all;
  }
  throw new Error("the lab ended before it was ready");
}

/** A Pod of the Service with the address of one that runs; it is not ready. */
async function mirror(name) {
  const path = `/api/v1/namespaces/default/pods/${name}`;
  let pod = await api.get(path);
  const isReady = ({ status }) => status?.conditions?.some(({ type, status: now }) => type === "Ready" && now === "True");
  for (; !isReady(pod); await pause(100)) pod = await api.get(path);
  await api.post("/api/v1/namespaces/default/pods", {
    metadata: { name: `${name}-mirror`, labels: { app: "ready" } },
    spec: { nodeName: "elsewhere", containers: [{ name: "main", image: "none" }] },
  });
  const { podIP, podIPs } = pod.status;
  await api.patchStatus(`${path}-mirror`, { status: { phase: "Running", podIP, podIPs, conditions: [{ type: "Ready", status: "False" }] } });
}

function setReady(name, status) {
  const conditions = [{ type: "Ready", status }];
  return api.patchStatus(`/api/v1/namespaces/default/pods/${name}-mirror`, { status: { conditions } });
}
