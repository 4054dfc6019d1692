// node bench/api-server.mjs [services] [clients] [alone|up|both] [runs] [node arguments]: Services created over TLS by
// concurrent clients, read one by one and listed; each create is validated, allocated and durable. Measures the API
// server alone and, after it, all of `portolan up`, where controllers make a slice and Endpoints of each Service.
// Bare puts to etcd in the same run, where it is installed. The load generator shares the machine. Of several runs
// each figure is the median, with the least and the greatest.
import { setTimeout as wait } from "node:timers/promises";
import { etcdPuts } from "./etcd.mjs";
import { conditions, cpuMs, flushTimes, median, percentile, startApiOnly, startUp, temporaryFolder } from "./measure.mjs";
import { RawClient, overAll, tlsOf } from "./raw-client.mjs";

const count = Number(process.argv[2] ?? 10_000);
const width = Number(process.argv[3] ?? 20);
const what = process.argv[4] ?? "both";
const runs = Number(process.argv[5] ?? 1);
const nodeArgs = process.argv.slice(6);
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
const alone = [];
const up = [];
const etcd = [];
for (let run = 0; run < runs; run++) {
  if (what !== "up") alone.push(await measure(await startApiOnly(temporaryFolder(), nodeArgs)));
  if (what !== "alone") up.push(await measure(await startUp()));
  if (what === "both") etcd.push(await etcdPuts(temporaryFolder(), width, count, 700));
}
if (alone.length > 0) print("API server alone", alone);
if (up.length > 0) print("portolan up", up);
if (etcd[0] !== undefined) {
  const ratios = alone.map(({ create }, run) => create.perSecond / etcd[run]);
  console.log(`bare etcd puts (gRPC, no TLS)   ${spread(etcd, 0)}/s; creates are ${spread(ratios, 2)} of that`);
} else if (what === "both") console.log("etcd is not installed: no floor to compare with");
process.exit(0);

/** What one run took; rates a second, CPU in microseconds each, times in milliseconds. */
async function measure(program) {
  const clients = await Promise.all(Array.from({ length: width }, () => RawClient.open(tlsOf(program.kubeconfig))));
  const rate = async (amount, work) => {
    const cpu = cpuMs(program.pid);
    const own = process.cpuUsage();
    const began = performance.now();
    await overAll(clients, amount, work);
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(own);
    const serverUs = ((cpuMs(program.pid) - cpu) * 1000) / amount;
    return { perSecond: amount / seconds, serverUs, loadUs: (user + system) / amount };
  };
  const create = await rate(count, (client, i) => client.post(path, service(`s${String(i)}`)));
  const get = await rate(2 * count, (client, i) => client.get(`${path}/s${String(i % count)}`));
  const lists = [];
  for (let i = 0; i < 7; i++) {
    const began = performance.now();
    await clients[0].get("/api/v1/services");
    lists.push(performance.now() - began);
  }
  const single = await paced(clients, 300, 10);
  const [p50, p99, max] = [50, 99, 100].map((p) => percentile(single, p));
  const residentMb = program.residentMb();
  for (const client of clients) client.close();
  await program.stop();
  return { create, get, listMs: median(lists), p50, p99, max, residentMb };
}

function print(title, results) {
  console.log(title);
  for (const name of ["create", "get"]) {
    const of = (field) => results.map((result) => result[name][field]);
    console.log(
      `  ${name.padEnd(8)} ${spread(of("perSecond"), 0)}/s   CPU each: server ${spread(of("serverUs"), 0)} us, load generator ${spread(of("loadUs"), 0)} us`,
    );
  }
  const of = (field) => results.map((result) => result[field]);
  console.log(`  list of ${String(count)}: ${spread(of("listMs"), 0)} ms`);
  console.log(`  creates at 300/s for 10 s: p50 ${spread(of("p50"), 1)} ms, p99 ${spread(of("p99"), 1)} ms, max ${spread(of("max"), 1)} ms`);
  console.log(`  resident memory ${spread(of("residentMb"), 0)} MB`);
}

/** The median, and of several values the least and the greatest. */
function spread(values, digits) {
  const text = (value) => value.toFixed(digits);
  if (values.length === 1) return text(values[0]);
  return `${text(median(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
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
