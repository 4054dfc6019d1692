// node bench/lab-start.mjs [nodes] [runs] [program...]: `portolan lab up` from process start to the ready line, bare and with a Pod on
// each node; with Pods also until all are Ready, once without volumes and once with five kinds of them. In turn, so that a
// slower minute of the machine is everybody's; programs, such as dist/portolan.js of an older checkout, take turns too.
// Needs `npm run build`.
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { apiOf } from "./api.mjs";
import { conditions, median, temporaryFolder } from "./measure.mjs";

const nodeCount = Number(process.argv[2] ?? 3);
const runs = Number(process.argv[3] ?? 5);
const programs = process.argv.length > 4 ? process.argv.slice(4) : ["dist/portolan.js"];
const home = temporaryFolder();

const VOLUMES = {
  volumes: [
    { name: "settings", configMap: { name: "settings" } },
    { name: "keys", secret: { secretName: "keys" } },
    { name: "about", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
    { name: "scratch", emptyDir: {} },
    { name: "memory", emptyDir: { medium: "Memory" } },
  ],
};
const MOUNTS = ["settings", "keys", "about", "scratch", "memory"].map((name) => ({ name, mountPath: `/volumes/${name}` }));

function manifests(name, withVolumes) {
  const pods = Array.from({ length: nodeCount }, (_, i) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod-${String(i + 1)}`, labels: { app: "web" } },
    spec: {
      nodeName: `node-${String(i + 1)}`,
      ...(withVolumes ? VOLUMES : { automountServiceAccountToken: false }),
      containers: [{ name: "c", command: ["sleep", "infinity"], ...(withVolumes ? { volumeMounts: MOUNTS } : {}) }],
    },
  }));
  const objects = [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { a: "1", b: "2" } },
    { apiVersion: "v1", kind: "Secret", metadata: { name: "keys" }, stringData: { password: "x" } },
    ...pods,
  ];
  const file = join(home, `${name}.json`);
  writeFileSync(file, objects.map((object) => JSON.stringify(object)).join("\n---\n"));
  return ["-f", file];
}

const KINDS = {
  bare: [],
  "a Pod a node": manifests("plain", false),
  "a Pod a node, five volumes and a token each": manifests("volumes", true),
};
const cases = programs.flatMap((program) => Object.entries(KINDS).map(([kind, args]) => ({ program, kind, args, ready: [], running: [] })));
for (let run = 0; run < runs; run++) {
  for (const { program, args, ready, running } of cases) {
    const began = performance.now();
    const env = { ...process.env, HOME: home, XDG_STATE_HOME: home, TMPDIR: home };
    const command = [program, "lab", "up", "-o", "json", "--nodes", String(nodeCount), ...args];
    const lab = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => lab.once("exit", resolve));
    const lines = createInterface({ input: lab.stdout })[Symbol.asyncIterator]();
    const line = await lines.next();
    if (line.done) throw new Error("the lab ended before it was ready");
    ready.push(performance.now() - began);
    if (args.length > 0) {
      await allReady(JSON.parse(line.value).kubeconfig);
      running.push(performance.now() - began);
    }
    lab.kill("SIGTERM");
    await ended;
  }
}
console.log(`${conditions()}; ${String(nodeCount)} nodes, ${String(runs)} runs of each, in turn`);
const told = (values) => `median ${median(values).toFixed(0)} ms (min ${Math.min(...values).toFixed(0)}, max ${Math.max(...values).toFixed(0)})`;
for (const { program, kind, ready, running } of cases) {
  const what = programs.length > 1 ? `${kind} (${program})` : kind;
  console.log(`${what.padEnd(48)} lab up: ${told(ready)}`);
  if (running.length > 0) console.log(`${"".padEnd(48)} all Pods Ready: ${told(running)}`);
}
rmSync(home, { recursive: true, force: true });
process.exit(0);

async function allReady(kubeconfig) {
  const api = await apiOf(kubeconfig);
  const isReady = ({ status }) => status?.conditions?.some(({ type, status: now }) => type === "Ready" && now === "True");
  for (;;) {
    const { items } = await api.get("/api/v1/namespaces/default/pods?resourceVersion=0");
    if (items.length === nodeCount && items.every(isReady)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
