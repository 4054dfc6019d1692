// node bench/api-server.mjs [services] [clients] [alone|up|both] [node arguments]: Services created over TLS by
// concurrent clients, read one by one and listed; each create is validated, allocated and durable. Measures the API
// server alone and, after it, all of `portolan up`, where controllers make a slice and Endpoints of each Service.
// Bare puts to etcd in the same run, where it is installed. The load generator shares the machine.
import { setTimeout as wait } from "node:timers/promises";
import { etcdPuts } from "./etcd.mjs";
import { conditions, cpuMs, flushTimes, median, percentile, startApiOnly, startUp, temporaryFolder } from "./measure.mjs";
import { RawClient, overAll, tlsOf } from "./raw-client.mjs";

const count = Number(process.argv[2] ?? 10_000);
const width = Number(process.argv[3] ?? 20);
const what = process.argv[4] ?? "both";
const nodeArgs = process.argv.slice(5);
const path = "/api/v1/namespaces/default/services";
const service = (name) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels: { app: name } },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  });

console.log(`${conditions()}; ${String(width)} clients over TLS (HTTP/1.1, kept alive)`);
const flushes = flushTimes(temporaryFolder());
console.log(`one flush of the disk: p50 ${percentile(flushes, 50).toFixed(1)} ms, p99 ${percentile(flushes, 99).toFixed(1)} ms`);
let alone;
if (what !== "up") alone = await measure("API server alone", await startApiOnly(temporaryFolder(), nodeArgs));
if (what !== "alone") await measure("portolan up", await startUp());
if (what === "both") {
  const etcd = await etcdPuts(temporaryFolder(), width, count, 700);
  if (etcd === undefined) console.log("etcd is not installed: no floor to compare with");
  else console.log(`bare etcd puts (gRPC, no TLS)   ${etcd.toFixed(0)}/s; creates are ${(alone / etcd).toFixed(2)} of that`);
}
process.exit(0);

async function measure(title, program) {
  console.log(title);
  const clients = await Promise.all(Array.from({ length: width }, () => RawClient.open(tlsOf(program.kubeconfig))));
  const rate = async (name, amount, work) => {
    const cpu = cpuMs(program.pid);
    const own = process.cpuUsage();
    const began = performance.now();
    await overAll(clients, amount, work);
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(own);
    const server = ((cpuMs(program.pid) - cpu) * 1000) / amount;
    console.log(
      `  ${name.padEnd(8)} ${(amount / seconds).toFixed(0).padStart(6)}/s   CPU each: server ${server.toFixed(0)} us, load generator ${((user + system) / amount).toFixed(0)} us`,
    );
    return amount / seconds;
  };
  const creates = await rate("create", count, (client, i) => client.post(path, service(`s${String(i)}`)));
  await rate("get", 2 * count, (client, i) => client.get(`${path}/s${String(i % count)}`));
  const lists = [];
  for (let i = 0; i < 7; i++) {
    const began = performance.now();
    await clients[0].get("/api/v1/services");
    lists.push(performance.now() - began);
  }
  console.log(`  list of ${String(count)}: median ${median(lists).toFixed(0)} ms`);
  const single = await paced(clients, 300, 10);
  const p = (n) => percentile(single, n).toFixed(1);
  console.log(`  creates at 300/s for 10 s: p50 ${p(50)} ms, p99 ${p(99)} ms, max ${p(100)} ms`);
  console.log(`  resident memory ${program.residentMb().toFixed(0)} MB`);
  for (const client of clients) client.close();
  await program.stop();
  return creates;
}

/** Sends so many creates a second, whether or not earlier ones are answered; the time of each from its due time. */
async function paced(clients, perSecond, seconds) {
  const times = [];
  const idle = [...clients];
  const running = [];
  const began = performance.now() + 100;
  for (let i = 0; i < perSecond * seconds; i++) {
    const due = began + (i * 1000) / perSecond;
    while (performance.now() < due) await wait(1);
    while (idle.length === 0) await wait(1);
    const client = idle.pop();
    running.push(
      client.post(path, service(`paced-${String(i)}`)).then(() => {
        times.push(performance.now() - due);
        idle.push(client);
      }),
    );
  }
  await Promise.all(running);
  return times;
}
