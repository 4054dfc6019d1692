// node bench/latency.mjs [services] [flips]: from the acknowledgement of a Pod's status write to its effect:
// readiness gained -> a connection to the Service's address reaches the Pod, and DNS lists it;
// readiness lost -> connections are refused, and DNS lists it no more. Pods are servers of this bench on a
// simulated node; everything else is `portolan up` in a process of its own.
import { createServer } from "node:net";
import { connect } from "node:net";
import { createSocket } from "node:dgram";
import { setTimeout as wait } from "node:timers/promises";
import { apiOf, inParallel, simulateNode } from "./api.mjs";
import { conditions, percentile, startUp } from "./measure.mjs";

const services = Number(process.argv[2] ?? 100);
const flips = Number(process.argv[3] ?? 300);
const cluster = await startUp();
const api = await apiOf(cluster.kubeconfig);
const heart = await simulateNode(api, "simulated");
// Addresses of the instance's own Pod range, from its end: the node agent gives them out from the start.
const { podCIDR } = (await api.get("/api/v1/nodes/local")).spec ?? {};
const range = /^(127\.\d+)\./.exec(podCIDR)[1];
const podIp = (i) => `${range}.200.${String(i + 1)}`;
const servers = await Promise.all(
  Array.from({ length: services }, (_, i) => {
    const server = createServer((socket) => socket.end(`pod-${String(i)}`));
    return new Promise((resolve) => server.listen(8080, podIp(i), () => resolve(server)));
  }),
);
await inParallel(8, services, async (i) => {
  const name = `s${String(i)}`;
  const ports = [{ name: "tcp", port: 8080 }];
  const selector = { app: name };
  await api.post("/api/v1/namespaces/default/services", { metadata: { name }, spec: { selector, ports } });
  await api.post("/api/v1/namespaces/default/services", {
    metadata: { name: `${name}-headless` },
    spec: { clusterIP: "None", selector, ports },
  });
  await api.post("/api/v1/namespaces/default/pods", {
    metadata: { name: `pod-${String(i)}`, labels: selector },
    spec: { nodeName: "simulated", containers: [{ name: "c", image: "x" }] },
  });
});
const clusterIps = new Map();
for (const { metadata, spec } of (await api.get("/api/v1/namespaces/default/services")).items) {
  clusterIps.set(metadata.name, spec.clusterIP);
}
await wait(2000);

const gained = { traffic: [], dns: [] };
const lost = { traffic: [], dns: [] };
for (let flip = 0; flip < flips; flip++) {
  const i = flip % services;
  await setReady(i, true);
  let acknowledged = performance.now();
  await Promise.all([
    until(async () => (await ask(i)) === `pod-${String(i)}`).then((t) => gained.traffic.push(t - acknowledged)),
    until(async () => (await listed(i)) === 1).then((t) => gained.dns.push(t - acknowledged)),
  ]);
  await setReady(i, false);
  acknowledged = performance.now();
  await Promise.all([
    until(async () => (await ask(i)) === undefined).then((t) => lost.traffic.push(t - acknowledged)),
    until(async () => (await listed(i)) === 0).then((t) => lost.dns.push(t - acknowledged)),
  ]);
}
const balanced = [];
for (let i = 0; i < 50; i++) {
  const path = "/api/v1/namespaces/default/services";
  await api.post(path, { metadata: { name: `lb${String(i)}` }, spec: { type: "LoadBalancer", ports: [{ port: 8080 }] } });
  const acknowledged = performance.now();
  const hasAddress = async () =>
    (await api.get(`${path}/lb${String(i)}`)).status?.loadBalancer?.ingress?.length > 0;
  balanced.push((await until(hasAddress)) - acknowledged);
}
console.log(`${conditions()}; ${String(services)} Services (and as many headless), ${String(flips)} flips`);
const row = (name, values) =>
  console.log(
    `${name.padEnd(46)} p50 ${percentile(values, 50).toFixed(1)} ms, p99 ${percentile(values, 99).toFixed(1)} ms, max ${Math.max(...values).toFixed(1)} ms`,
  );
row("ready -> address carries traffic to the Pod", gained.traffic);
row("ready -> DNS lists the Pod", gained.dns);
row("not ready -> new connections refused", lost.traffic);
row("not ready -> DNS lists the Pod no more", lost.dns);
row("LoadBalancer created -> it has an address", balanced);
clearInterval(heart);
for (const server of servers) server.close();
await cluster.stop();
process.exit(0);

function setReady(i, isReady) {
  const ip = podIp(i);
  return api.patchStatus(`/api/v1/namespaces/default/pods/pod-${String(i)}`, {
    status: {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [
        { type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: new Date().toISOString().replace(/\.\d+/, "") },
      ],
    },
  });
}

/** Asks again and again; the time when the answer was right, bounded to five seconds. */
async function until(isSo) {
  const deadline = performance.now() + 5000;
  while (!(await isSo())) {
    if (performance.now() > deadline) break;
    await new Promise(setImmediate);
  }
  return performance.now();
}

/** What the Service's address answers; undefined when the connection is refused. */
function ask(i) {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host: clusterIps.get(`s${String(i)}`), port: 8080 });
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.on("error", () => resolve(undefined));
    socket.on("end", () => resolve(text));
  });
}

/** How many addresses DNS lists for the headless Service. */
function listed(i) {
  const [host, port] = cluster.dns.split(":");
  const labels = `s${String(i)}-headless.default.svc.cluster.local`.split(".");
  const name = Buffer.concat([...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0])]);
  const query = Buffer.concat([Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), name, Buffer.from([0, 1, 0, 1])]);
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.on("message", (answer) => {
      socket.close();
      resolve(answer.readUInt16BE(6));
    });
    socket.send(query, Number(port), host);
  });
}
