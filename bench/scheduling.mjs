// node --import tsx bench/scheduling.mjs [pods] [nodes]: how long the scheduler takes to give that many Pods nodes,
// with the API server, its store on disk and the scheduler in this process; a third of the Pods spread over zones,
// a third keep apart from a few others.
import { availableParallelism, cpus, release } from "node:os";
import { podKind } from "../src/api/v1/pod.kind.ts";
import { startScheduler } from "../src/controllers/scheduler.ts";
import { startControlPlane } from "../test/controllers/control-plane.ts";

const pods = Number(process.argv[2] ?? 5_000);
const nodes = Number(process.argv[3] ?? 100);
const ZONES = 5;

const plane = await startControlPlane();
for (let i = 0; i < nodes; i++) {
  await plane.node(`n${String(i)}`, { labels: { zone: `z${String(i % ZONES)}`, host: String(i) } });
}
const shapes = [
  () => ({}),
  () => ({
    topologySpreadConstraints: [
      {
        maxSkew: 5,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "spread" } },
      },
    ],
  }),
  () => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: "rare" } }, topologyKey: "host" },
        ],
      },
    },
  }),
];
for (let i = 0; i < pods; i++) {
  await plane.pod(`p${String(i)}`, shapes[i % 3](), { app: ["plain", "spread", "apart"][i % 3] });
}
await plane.deps.informers.of(podKind).synced(new AbortController().signal);
const [startMs, startCpu] = [performance.now(), process.cpuUsage()];
const scheduler = startScheduler(plane.deps);
let left = pods;
await new Promise((resolve) => {
  plane.deps.informers.of(podKind).onChange(({ before, after }) => {
    if ((after?.spec.nodeName ?? "") !== "" && (before?.spec.nodeName ?? "") === "") left -= 1;
    if (left === 0) resolve();
  });
});
const ms = performance.now() - startMs;
const { user, system } = process.cpuUsage(startCpu);
const perNode = new Map();
for (const { spec } of plane.deps.informers.of(podKind).list()) {
  perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
}
console.log(`${cpus()[0]?.model ?? ""}, ${String(availableParallelism())} CPUs, Linux ${release()}, Node ${process.version}`);
console.log(
  `${String(pods)} Pods on ${String(nodes)} nodes placed in ${(ms / 1000).toFixed(2)} s (${((user + system) / 1e6).toFixed(2)} s of CPU), ` +
    `${String(Math.min(...perNode.values()))} to ${String(Math.max(...perNode.values()))} a node`,
);
await scheduler[Symbol.asyncDispose]();
await plane[Symbol.asyncDispose]();
process.exit(0);
