// node bench/rolling.mjs [requests] [clients]: a Deployment's Pods are replaced again and again, one rolling update
// after another, while clients make one new connection a request to the Service's address. Counts what failed.
import { Agent, get } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { apiOf } from "./api.mjs";
import { conditions, percentile, startUp } from "./measure.mjs";

const wanted = Number(process.argv[2] ?? 10_000);
const clients = Number(process.argv[3] ?? 8);
const deployments = "/apis/apps/v1/namespaces/default/deployments";
// It ends as a well-behaved server does: takes no more connections, answers those that it has.
const program = `
const server = require("node:http").createServer((request, response) => setTimeout(() => response.end(process.env.VERSION), 2));
server.listen(8080, process.env.POD_IP);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
`;

const cluster = await startUp();
const api = await apiOf(cluster.kubeconfig);
const labels = { app: "web" };
await api.post("/api/v1/namespaces/default/services", {
  metadata: { name: "web" },
  spec: { selector: labels, ports: [{ port: 8080 }] },
});
const { clusterIP } = (await api.get("/api/v1/namespaces/default/services/web")).spec;
await api.post(deployments, {
  metadata: { name: "web" },
  spec: {
    replicas: 4,
    selector: { matchLabels: labels },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: { metadata: { labels }, spec: { containers: [containerOf("0")] } },
  },
});
await rolledOut();

console.log(`${conditions()}; 4 Pods, maxSurge 1, maxUnavailable 0; ${String(clients)} clients, a connection a request`);
let ended = false;
let updates = 0;
const tally = { made: 0, failures: new Map(), ms: [], versions: new Set() };
const updating = (async () => {
  for (; !ended; updates++) {
    await setVersion(String(updates + 1));
    await rolledOut();
  }
})();
await Promise.all(
  Array.from({ length: clients }, async () => {
    // At least the requests asked for, and two whole updates.
    while (tally.made < wanted || updates < 2) await ask();
  }),
);
ended = true;
await updating;
const failed = [...tally.failures.values()].reduce((sum, n) => sum + n, 0);
console.log(
  `${String(tally.made)} requests through ${String(updates)} rolling updates (${String(tally.versions.size)} versions answered): ${String(failed)} failed`,
);
for (const [code, count] of tally.failures) console.log(`  ${code}: ${String(count)}`);
console.log(
  `a request: p50 ${percentile(tally.ms, 50).toFixed(1)} ms, p99 ${percentile(tally.ms, 99).toFixed(1)} ms, max ${Math.max(...tally.ms).toFixed(1)} ms`,
);
await cluster.stop();
process.exit(failed === 0 ? 0 : 1);

function containerOf(version) {
  return {
    name: "web",
    command: [process.execPath, "-e", program],
    env: [{ name: "VERSION", value: version }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  };
}

function setVersion(version) {
  const body = { spec: { template: { spec: { containers: [containerOf(version)] } } } };
  return api.patch(`${deployments}/web`, body);
}

async function rolledOut() {
  for (;;) {
    const { metadata, spec, status = {} } = await api.get(`${deployments}/web`);
    const isCurrent = status.observedGeneration === metadata.generation;
    const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
    if (isCurrent && counts.every((count) => count === spec.replicas)) return;
    await wait(50);
  }
}

function ask() {
  tally.made++;
  const began = performance.now();
  const note = (code) => tally.failures.set(code, (tally.failures.get(code) ?? 0) + 1);
  return new Promise((resolve) => {
    const options = { host: clusterIP, port: 8080, agent: new Agent({ keepAlive: false }) };
    const request = get(options, (response) => {
      let version = "";
      response.on("data", (chunk) => (version += String(chunk)));
      response.on("error", (error) => resolve(note(error.code ?? error.message)));
      response.on("end", () => {
        if (response.statusCode !== 200) note(`status ${String(response.statusCode)}`);
        tally.versions.add(version);
        tally.ms.push(performance.now() - began);
        resolve();
      });
    });
    request.on("error", (error) => resolve(note(error.code ?? error.message)));
  });
}
