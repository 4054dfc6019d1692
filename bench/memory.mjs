// node bench/memory.mjs [services]: resident memory with Services of 3 endpoints each (ready Pods on a simulated
// node, no processes), and what idling costs afterwards.
import { setTimeout as wait } from "node:timers/promises";
import { conditions, cpuMs, startUp } from "./measure.mjs";
import { apiOf, inParallel, simulateNode } from "./api.mjs";

const count = Number(process.argv[2] ?? 1000);
const cluster = await startUp();
const api = await apiOf(cluster.kubeconfig);
const empty = cluster.residentMb();
const heart = await simulateNode(api, "simulated");
const began = performance.now();
await inParallel(32, count, async (i) => {
  const name = `service-${String(i)}`;
  await api.post("/api/v1/namespaces/default/services", {
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 8080 }] },
  });
  for (let p = 0; p < 3; p++) {
    const pod = `${name}-${String(p)}`;
    await api.post("/api/v1/namespaces/default/pods", {
      metadata: { name: pod, labels: { app: name } },
      spec: { nodeName: "simulated", containers: [{ name: "c", image: "x", ports: [{ containerPort: 8080 }] }] },
    });
    const n = 3 * i + p;
    await api.patchStatus(`/api/v1/namespaces/default/pods/${pod}`, {
      status: {
        phase: "Running",
        podIP: `10.1.${String(n >> 8)}.${String(n & 255)}`,
        podIPs: [{ ip: `10.1.${String(n >> 8)}.${String(n & 255)}` }],
        conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
      },
    });
  }
});
const writtenMs = performance.now() - began;
for (;;) {
  const { items } = await api.get("/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=0");
  const ready = items.filter((slice) => (slice.endpoints ?? []).filter((e) => e.conditions?.ready).length === 3);
  if (ready.length >= count) break;
  await wait(50);
}
const settledMs = performance.now() - began;
await wait(10_000);
const loaded = cluster.residentMb();
const cpuBefore = cpuMs(cluster.pid);
await wait(10_000);
const idlePercent = (cpuMs(cluster.pid) - cpuBefore) / 100;
console.log(conditions());
console.log(`${String(count)} Services x 3 ready Pods: written in ${(writtenMs / 1000).toFixed(1)} s, settled in ${(settledMs / 1000).toFixed(1)} s`);
console.log(`resident memory: ${empty.toFixed(0)} MB empty, ${loaded.toFixed(0)} MB with the Services; idle CPU ${idlePercent.toFixed(1)} % of a core`);
clearInterval(heart);
await cluster.stop();
