// API server, store and the three loops of endpoints in one process, as in `portolan up`, without agents: Pods are
// objects only. Bundled and started by endpoints.mjs:
//   node endpoints-cluster.mjs load DIR SERVICES PODS_EACH    writes Nodes, Services and ready Pods into a new store
//   node endpoints-cluster.mjs settle DIR SERVICES PODS_EACH  starts the loops on it; prints how they settled
//   node endpoints-cluster.mjs flip DIR SERVICES PODS_EACH FLIPS  the same, and then flips the readiness of Pods
import { setTimeout as wait } from "node:timers/promises";
import { endpointSliceKind } from "../src/api/discovery/endpointslice.kind.ts";
import { servedKinds } from "../src/api/kinds.ts";
import { endpointsKind } from "../src/api/v1/endpoints.kind.ts";
import { nodeKind } from "../src/api/v1/node.kind.ts";
import { podKind } from "../src/api/v1/pod.kind.ts";
import { serviceKind } from "../src/api/v1/service.kind.ts";
import { createApiServer } from "../src/apiserver/server.ts";
import { createClient } from "../src/client/rest.ts";
import { createInformers } from "../src/client/shared-informers.ts";
import { startEndpointsController } from "../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../src/controllers/endpointslice.ts";
import { startEndpointSliceMirroring } from "../src/controllers/endpointslicemirroring.ts";
import { parseCidr } from "../src/net/cidr.ts";
import { EmbeddedStore } from "../src/store/embedded/embedded.ts";

const NODES = 100;
const PARTS = { name: "bench", groups: ["system:masters", "system:authenticated"] };
const [, , mode, dir, ...numbers] = process.argv;
const [services, podsEach, flips = 0] = numbers.map(Number);
const print = (level) => (message, fields) => console.error(level, message, fields ?? "");
const log = { debug() {}, info() {}, warn: print("warn"), error: print("error"), with: () => log };
const namespace = "default";
const nothing = new AbortController().signal;

const store = await EmbeddedStore.open({ dir });
const server = await createApiServer({
  store,
  kinds: servedKinds({ podCidrs: [] }),
  log,
  serviceCidrs: [parseCidr("10.96.0.0/14")],
  nodePortRange: { first: 30_000, last: 32_767 },
  version: "bench",
});
const transport = (request) => server.handle({ ...request, takesObjects: true }, PARTS);
const client = createClient({ transport, pageSize: 0 });
if (mode === "load") await load();
else await run();
process.exit(0);

async function load() {
  for (let i = 0; i < NODES; i++) {
    const labels = { "topology.kubernetes.io/zone": `zone-${String(i % 3)}` };
    await client.create(nodeKind, { metadata: { name: `node-${String(i)}`, labels } });
  }
  const ports = [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }];
  await client.create(serviceKind, {
    metadata: { name: "template", namespace },
    spec: { selector: { app: "template" }, ports },
  });
  await client.create(podKind, {
    metadata: { name: "template", namespace, labels: { app: "template" } },
    spec: { nodeName: "node-0", containers: [{ name: "main", image: "none" }] },
  });
  await client.patch(
    podKind,
    { namespace, name: "template" },
    { kind: "strategic", body: { status: statusOf("10.128.0.1", true) } },
    { subresource: "status" },
  );
  const { entries } = await store.range({ prefix: "/registry/" });
  const templateOf = (part) => entries.find(({ key }) => key.includes(part) && key.endsWith("/template"));
  const service = templateOf("/services/");
  const pod = templateOf("/pods/");
  const number = (i, base) => `10.${String(base + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`;
  let writes = [];
  const put = async (template, name, change) => {
    const object = JSON.parse(template.value);
    object.metadata.name = name;
    object.metadata.uid = `00000000-0000-4000-8000-${name.replace(/\D/g, "").padStart(12, "0")}`;
    change(object);
    writes.push({ kind: "put", key: template.key.replace(/template$/, name), value: JSON.stringify(object) });
    if (writes.length >= 500) await flush();
  };
  const flush = async () => {
    if (writes.length > 0) await store.commit([], writes);
    writes = [];
  };
  for (let s = 0; s < services; s++) {
    await put(service, `s${String(s)}`, (object) => {
      object.spec.selector = { app: `s${String(s)}` };
      object.spec.clusterIP = number(s + 256, 97);
      object.spec.clusterIPs = [object.spec.clusterIP];
    });
    for (let p = 0; p < podsEach; p++) {
      const i = s * podsEach + p;
      await put(pod, `p${String(i)}`, (object) => {
        object.metadata.labels = { app: `s${String(s)}` };
        object.spec.nodeName = `node-${String(i % NODES)}`;
        object.status = { ...object.status, ...statusOf(podIp(i), true) };
      });
    }
  }
  await flush();
  for (const kind of [podKind, serviceKind]) await client.delete(kind, { namespace, name: "template" }, { gracePeriodSeconds: 0 });
  await server[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  console.log("{}");
}

async function run() {
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const informers = createInformers({ client, log, isShared: true });
  const slices = informers.of(endpointSliceKind);
  const endpoints = informers.of(endpointsKind);
  // By counting what changes, so that looking costs nothing.
  const listed = { slices: 0, addresses: 0, writes: 0 };
  const waiting = new Set();
  slices.onChange(({ before, after }) => {
    listed.slices += (after?.endpoints.length ?? 0) - (before?.endpoints.length ?? 0);
    listed.writes++;
    for (const look of waiting) look(after);
  });
  endpoints.onChange(({ before, after }) => {
    listed.addresses += addressesOf(after) - addressesOf(before);
  });
  startEndpointSliceController({ client, informers, log });
  startEndpointsController({ client, informers, log });
  startEndpointSliceMirroring({ client, informers, log });
  const expected = services * podsEach;
  // The API server is not published here, so that nothing else has slices; Endpoints name 1,000 addresses at most.
  let slicesMs;
  for (;;) {
    if (slicesMs === undefined && listed.slices === expected) slicesMs = performance.now() - began;
    if (slicesMs !== undefined && listed.addresses === services * Math.min(podsEach, 1000)) break;
    await wait(5);
  }
  const settledMs = performance.now() - began;
  const cpu = process.cpuUsage(cpuBefore);
  const writes = listed.writes;
  await wait(3000);
  const idleMs = mode === "flip" ? 0 : 10_000;
  const idleBefore = process.cpuUsage();
  await wait(idleMs);
  const idle = process.cpuUsage(idleBefore);
  const flipped = mode === "flip" ? await flip(slices, waiting, listed) : {};
  console.log(
    JSON.stringify({
      slicesMs,
      settledMs,
      sliceWrites: writes,
      laterWrites: listed.writes - writes - (flipped.expectedWrites ?? 0),
      cpuMs: (cpu.user + cpu.system) / 1000,
      idlePercent: idleMs === 0 ? undefined : (idle.user + idle.system) / 10 / idleMs,
      peakMb: process.resourceUsage().maxRSS / 1024,
      ...flipped,
    }),
  );
}

/** From the acknowledgement of a Pod's status to the slice's change in a watch; and how many slices were written. */
async function flip(slices, waiting, listed) {
  const times = [];
  let most = 0;
  const isReady = new Map();
  const cpuBefore = process.cpuUsage();
  for (let i = 0; i < flips; i++) {
    const n = (i * 7919) % (services * podsEach);
    const name = `p${String(n)}`;
    const ready = !(isReady.get(n) ?? true);
    isReady.set(n, ready);
    const before = listed.writes;
    const seen = new Promise((resolve) => {
      const look = (slice) => {
        const endpoint = slice?.endpoints.find(({ targetRef }) => targetRef?.name === name);
        if (endpoint?.conditions.ready !== ready) return;
        waiting.delete(look);
        resolve(performance.now());
      };
      waiting.add(look);
    });
    await client.patch(
      podKind,
      { namespace, name },
      { kind: "strategic", body: { status: statusOf(podIp(n), ready) } },
      { subresource: "status" },
    );
    const acknowledged = performance.now();
    times.push(Math.max(0, (await seen) - acknowledged));
    most = Math.max(most, listed.writes - before);
    // Flips come one by one and at no fixed phase of the loops' timers.
    await wait(20 + ((i * 37) % 90));
  }
  const cpu = process.cpuUsage(cpuBefore);
  const flipCpuMs = (cpu.user + cpu.system) / 1000 / flips;
  return { times, mostWrites: most, expectedWrites: flips, flipCpuMs };
}

function podIp(i) {
  return `10.${String(128 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}`;
}

function statusOf(ip, isReady) {
  return {
    phase: "Running",
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [
      {
        type: "Ready",
        status: isReady ? "True" : "False",
        lastTransitionTime: new Date().toISOString().replace(/\.\d+/, ""),
      },
    ],
  };
}

function addressesOf(object) {
  return (object?.subsets ?? []).reduce(
    (sum, { addresses = [], notReadyAddresses = [] }) => sum + addresses.length + notReadyAddresses.length,
    0,
  );
}
