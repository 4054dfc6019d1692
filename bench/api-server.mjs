// node bench/api-server.mjs [services] [clients]: Services created over TLS by concurrent clients, read one by one
// and listed; each create is validated, allocated and durable. The load generator shares the machine.
import { conditions, cpuMs, median, percentile, startUp } from "./measure.mjs";
import { apiOf, inParallel } from "./api.mjs";

const count = Number(process.argv[2] ?? 10_000);
const clients = Number(process.argv[3] ?? 20);
const cluster = await startUp();
const api = await apiOf(cluster.kubeconfig);
const path = "/api/v1/namespaces/default/services";
const service = (name) => ({
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
});
const rate = async (name, amount, work) => {
  const cpu = cpuMs(cluster.pid);
  const began = performance.now();
  await inParallel(clients, amount, work);
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${name.padEnd(24)} ${(amount / seconds).toFixed(0).padStart(6)}/s   server CPU ${(((cpuMs(cluster.pid) - cpu) * 1000) / amount).toFixed(0)} us each`,
  );
};
console.log(`${conditions()}; ${String(clients)} clients over TLS (HTTP/1.1)`);
await rate("create", count, (i) => api.post(path, service(`s${String(i)}`)));
await rate("get", count, (i) => api.get(`${path}/s${String(i)}`));
const lists = [];
for (let i = 0; i < 7; i++) {
  const began = performance.now();
  await api.get("/api/v1/services");
  lists.push(performance.now() - began);
}
console.log(`list of ${String(count)}: median ${median(lists).toFixed(0)} ms, parsed by the client`);
const single = [];
for (let i = 0; i < 300; i++) {
  const began = performance.now();
  await api.post(path, service(`single-${String(i)}`));
  single.push(performance.now() - began);
  await new Promise((resolve) => setTimeout(resolve, 3));
}
console.log(`one create at a time: p50 ${percentile(single, 50).toFixed(1)} ms, p99 ${percentile(single, 99).toFixed(1)} ms`);
console.log(`resident memory ${cluster.residentMb().toFixed(0)} MB`);
await cluster.stop();
process.exit(0);
