// How soon what is written to our API server is in the answers: node bench/dns-visible.mjs [SERVICES [CHANGES]]
// Both with `portolan up`, whose DNS is in the same process, and with the API server and `portolan dns` alone, each a
// process of its own. Times are from the write's acknowledgement to the first right answer, in turn with questions
// before it; 0 is not possible, for one question and its answer are part of it.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { conditions, percentile, startApiOnly, startUp, temporaryFolder } from "./measure.mjs";
import { RawClient, tlsOf } from "./raw-client.mjs";

const services = Number(process.argv[2] ?? 1000);
const changes = Number(process.argv[3] ?? 300);
const ENDPOINTS = 10;
const CORE = "/api/v1/namespaces/default/services";
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const NXDOMAIN = 3;

console.log(conditions());
console.log(`${services} Services, ${changes} writes of each sort, one after the other`);
const up = await startUp();
await measure("portolan up", up.kubeconfig, Number(up.dns.split(":").at(-1)));
await up.stop();
const api = await startApiOnly(temporaryFolder());
const dns = await startDns(api.kubeconfig);
await measure("API server and portolan dns alone", api.kubeconfig, dns.port);
dns.child.kill("SIGTERM");
await once(dns.child, "exit");
await api.stop();
process.exit(0);

async function measure(label, kubeconfig, port) {
  const tls = tlsOf(kubeconfig);
  const writers = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(tls)));
  let made = 0;
  await Promise.all(
    writers.map(async (writer) => {
      while (made < services) {
        const name = `svc-${made++}`;
        await writer.post(CORE, service(name));
      }
    }),
  );
  const [writer] = writers;
  await writer.post(CORE, service("set", "None"));
  await writer.post(SLICES, slice(ENDPOINTS));
  const resolver = openResolver(port);
  const last = `e${ENDPOINTS - 1}.set`;
  while ((await resolver.ask(last)) === NXDOMAIN || (await resolver.ask(`svc-${services - 1}`)) === NXDOMAIN);

  const slices = [];
  for (let i = 0; i < changes; i++) {
    const isGone = i % 2 === 0;
    await writer.put(`${SLICES}/set-a`, slice(isGone ? ENDPOINTS - 1 : ENDPOINTS));
    const acknowledged = performance.now();
    while (((await resolver.ask(last)) === NXDOMAIN) !== isGone);
    slices.push(performance.now() - acknowledged);
  }
  const created = [];
  const whole = [];
  for (let i = 0; i < changes; i++) {
    const name = `new-${i}`;
    // Twice, so that a thread has the answer compiled.
    if ((await resolver.ask(name)) !== NXDOMAIN || (await resolver.ask(name)) !== NXDOMAIN) throw new Error(`${name} is there before it was made`);
    const sent = performance.now();
    await writer.post(CORE, service(name));
    const acknowledged = performance.now();
    while ((await resolver.ask(name)) === NXDOMAIN);
    created.push(performance.now() - acknowledged);
    whole.push(performance.now() - sent);
  }
  resolver.close();
  console.log(`${label}:`);
  print("EndpointSlice write acknowledged -> answer changed", slices, 30);
  print("Service asked for (NXDOMAIN), made, acknowledged -> resolves", created, 50);
  print("the same from the sending of the write, its flush to disk included", whole);
}

function print(what, times, barMs) {
  const p99 = percentile(times, 99);
  const at = (p) => percentile(times, p).toFixed(1);
  const verdict = barMs === undefined ? "" : ` (p99 <= ${barMs} ms ${p99 <= barMs ? "holds" : "does not hold"})`;
  console.log(`  ${what}: p50 ${at(50)} ms, p99 ${at(99)} ms, max ${at(100)} ms${verdict}`);
}

/** Questions one after the other, each for the A records of a name of the namespace; gives the answer's code. */
function openResolver(port) {
  const socket = createSocket("udp4");
  const answered = new Map();
  socket.on("message", (message) => {
    answered.get(message.readUInt16BE(0))?.(message[3] & 15);
  });
  let id = 0;
  return {
    ask: (name) =>
      new Promise((resolve) => {
        id = (id + 1) & 0xffff;
        const own = id;
        const labels = `${name}.default.svc.cluster.local`.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
        const query = Buffer.concat([Buffer.of(own >> 8, own & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), ...labels, Buffer.of(0, 0, 1, 0, 1)]);
        // A packet may be lost: it is sent again, and the time is part of the figure.
        const again = setInterval(() => socket.send(query, port, "127.0.0.1"), 500);
        answered.set(own, (code) => {
          clearInterval(again);
          answered.delete(own);
          resolve(code);
        });
        socket.send(query, port, "127.0.0.1");
      }),
    close: () => socket.close(),
  };
}

async function startDns(kubeconfig) {
  const args = ["dist/portolan.js", "dns", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0", "-o", "json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, port: Number(JSON.parse(line).dns.split(":").at(-1)) };
  }
  throw new Error("portolan dns ended before it was ready");
}

function service(name, clusterIP) {
  const ports = [{ name: "http", protocol: "TCP", port: 80 }];
  return JSON.stringify({ metadata: { name }, spec: { ...(clusterIP === undefined ? {} : { clusterIP }), ports } });
}

function slice(count) {
  return JSON.stringify({
    metadata: { name: "set-a", labels: { "kubernetes.io/service-name": "set" } },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    endpoints: Array.from({ length: count }, (_, i) => ({
      addresses: [`10.1.0.${i + 1}`],
      hostname: `e${i}`,
      conditions: { ready: true, serving: true, terminating: false },
    })),
  });
}
