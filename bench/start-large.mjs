// node bench/start-large.mjs [objects] [runs]: time from the start of the API server's process until it is ready,
// with that many objects in the store: Services, EndpointSlices, Pods and ConfigMaps, a quarter each.
import { conditions, cpuMs, median, startApiOnly, temporaryFolder } from "./measure.mjs";
import { apiOf } from "./api.mjs";

const objects = Number(process.argv[2] ?? 100_000);
const runs = Number(process.argv[3] ?? 5);
const dir = temporaryFolder();
const first = await startApiOnly(dir);
const api = await apiOf(first.kubeconfig);
const metadata = { name: "template", labels: { app: "template" } };
const core = "/api/v1/namespaces/default";
await api.post(`${core}/services`, { metadata, spec: { selector: { app: "template" }, ports: [{ port: 80 }] } });
await api.post(`${core}/configmaps`, { metadata, data: { "some.conf": "key = value\n".repeat(20) } });
await api.post(`${core}/pods`, {
  metadata,
  spec: { containers: [{ name: "c", image: "x", env: [{ name: "A", value: "b" }], ports: [{ containerPort: 80 }] }] },
});
await api.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
  metadata,
  addressType: "IPv4",
  ports: [{ port: 80 }],
  endpoints: Array.from({ length: 3 }, (_, i) => ({ addresses: [`10.1.0.${String(i + 1)}`], conditions: { ready: true } })),
});
await first.stop();
await (await startApiOnly(dir, [], [String(objects / 4)])).stop();
const times = [];
const cpu = [];
let residentMb = 0;
for (let i = 0; i < runs; i++) {
  const program = await startApiOnly(dir);
  times.push(program.readyAt - program.spawnedAt);
  cpu.push(cpuMs(program.pid));
  residentMb = program.residentMb();
  await program.stop();
}
console.log(conditions());
console.log(
  `${String(objects)} objects: ready after ${median(times).toFixed(0)} ms (median of ${String(runs)}; ${Math.min(...times).toFixed(0)}-${Math.max(...times).toFixed(0)}), CPU ${median(cpu).toFixed(0)} ms, resident memory ${residentMb.toFixed(0)} MB`,
);
process.exit(0);
