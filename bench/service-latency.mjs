// node bench/service-latency.mjs [services] [parallel]: Kubernetes' scenario "service endpoints latency should not be
// very high": Services made for one ready Pod, so many at a time; from the create request until a watcher has seen
// the Pod's address in an EndpointSlice. `portolan up` is a process of its own with a real Pod; this is its client.
import { connect } from "node:http2";
import { apiOf } from "./api.mjs";
import { conditions, percentile, startUp } from "./measure.mjs";
import { tlsOf } from "./raw-client.mjs";

const services = Number(process.argv[2] ?? 200);
const parallel = Number(process.argv[3] ?? 15);
const cluster = await startUp();
const api = await apiOf(cluster.kubeconfig);
const labels = { app: "latency" };
await api.post("/api/v1/namespaces/default/pods", {
  metadata: { name: "latency", labels },
  spec: { containers: [{ name: "main", image: "none", command: ["sleep", "600"] }] },
});
for (;;) {
  const { status } = await api.get("/api/v1/namespaces/default/pods/latency");
  if (status?.conditions?.some(({ type, status: now }) => type === "Ready" && now === "True")) break;
  await new Promise((resolve) => setTimeout(resolve, 50));
}

const created = new Map();
const seen = new Map();
let finished = () => {};
const allSeen = new Promise((resolve) => (finished = resolve));
const watch = await openWatch("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?watch=true");
let next = 0;
await Promise.all(
  Array.from({ length: parallel }, async () => {
    while (next < services) {
      const name = `latency-${String(next++)}`;
      created.set(name, performance.now());
      await api.post("/api/v1/namespaces/default/services", {
        metadata: { name },
        spec: { selector: labels, ports: [{ port: 80, protocol: "TCP" }] },
      });
      await waitFor(name);
    }
  }),
);
await allSeen;
const times = [...seen].map(([name, at]) => at - created.get(name));
console.log(conditions());
console.log(
  `${String(services)} Services, ${String(parallel)} at a time, created -> endpoint seen: p50 ${percentile(times, 50).toFixed(1)} ms, p90 ${percentile(times, 90).toFixed(1)} ms, p99 ${percentile(times, 99).toFixed(1)} ms, max ${Math.max(...times).toFixed(1)} ms`,
);
watch.close();
await cluster.stop();
process.exit(0);

/** Resolves when the Service's endpoint is seen: each of the makers has one Service under way. */
async function waitFor(name) {
  while (!seen.has(name)) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function openWatch(path) {
  const { host, port, ...tls } = tlsOf(cluster.kubeconfig, "h2");
  const session = connect(`https://${host}:${String(port)}`, tls);
  const stream = session.request({ ":path": path, accept: "application/json" });
  await new Promise((resolve, reject) => {
    stream.once("response", resolve);
    stream.once("error", reject);
  });
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) note(JSON.parse(line).object);
  });
  return session;
}

function note({ metadata, endpoints }) {
  const name = metadata.labels?.["kubernetes.io/service-name"];
  if (!created.has(name) || seen.has(name)) return;
  if (!(endpoints ?? []).some(({ addresses, conditions: { ready } }) => addresses.length > 0 && ready)) return;
  seen.set(name, performance.now());
  if (seen.size === services) finished();
}
