// node bench/lab-start.mjs [nodes] [runs]: `portolan lab up` from process start to the ready line, bare and with a Pod on
// each node; with Pods also until all are Ready, once without volumes and once with five kinds of them. In turn, so that a
// slower minute of the machine is everybody's. Needs `npm run build`.
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { apiOf } from "./api.mjs";
import { conditions, median, temporaryFolder } from "./measure.mjs";

const nodeCount = Number(process.argv[2] ?? 3);
const runs = Number(process.argv[3] ?? 5);
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
const ready = new Map(Object.keys(KINDS).map((kind) => [kind, []]));
const running = new Map(Object.keys(KINDS).map((kind) => [kind, []]));
for (let run = 0; run < runs; run++) {
  for (const [kind, args] of Object.entries(KINDS)) {
    const began = performance.now();
    const env = { ...process.env, HOME: home, XDG_STATE_HOME: home, TMPDIR: home };
    const command = ["dist/portolan.js", "lab", "up", "-o", "json", "--nodes", String(nodeCount), ...args];
    const lab = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => lab.once("exit", resolve));
    const lines = createInterface({ input: lab.stdout })[Symbol.asyncIterator]();
    const line = await lines.next();
    if (line.done) throw new Error("the lab ended before it was ready");
    ready.get(kind).push(performance.now() - began);
    if (args.length > 0) {
      await allReady(JSON.parse(line.value).kubeconfig);
      running.get(kind).push(performance.now() - began);
    }
    lab.kill("SIGTERM");
    await ended;
  }
}
console.log(`${conditions()}; ${String(nodeCount)} nodes, ${String(runs)} runs of each, in turn`);
const told = (values) => `median ${median(values).toFixed(0)} ms (min ${Math.min(...values).toFixed(0)}, max ${Math.max(...values).toFixed(0)})`;
for (const kind of Object.keys(KINDS)) {
  console.log(`${kind.padEnd(48)} lab up: ${told(ready.get(kind))}`);
  if (running.get(kind).length > 0) console.log(`${"".padEnd(48)} all Pods Ready: ${told(running.get(kind))}`);
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
