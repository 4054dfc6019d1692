// node bench/watchers.mjs [watchers] [changes/s] [seconds]: watchers of all EndpointSlices, 100 to a connection
// (HTTP/2, as client-go has them), and changes of single slices: memory of an idle watcher, and the time from the
// sending of a change, its flush to disk included, until each watcher has it. API server alone.
import { connect } from "node:tls";
import { setTimeout as wait } from "node:timers/promises";
import { conditions, cpuMs, percentile, startApiOnly, temporaryFolder } from "./measure.mjs";
import { RawClient, tlsOf } from "./raw-client.mjs";

const watchers = Number(process.argv[2] ?? 2000);
const perSecond = Number(process.argv[3] ?? 50);
const seconds = Number(process.argv[4] ?? 10);
const perConnection = 100;
const path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const MARK = Buffer.from('"seq":"');

const program = await startApiOnly(temporaryFolder());
const writer = await RawClient.open(tlsOf(program.kubeconfig));
const slice = (i, seq) =>
  JSON.stringify({
    metadata: { name: `slice-${String(i)}`, annotations: { seq: String(seq).padStart(8, "0") } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: Array.from({ length: 3 }, (_, e) => ({
      addresses: [`10.1.${String(i)}.${String(e + 1)}`],
      conditions: { ready: true, serving: true, terminating: false },
    })),
  });
for (let i = 0; i < 100; i++) await writer.post(path, slice(i, 0));
const list = JSON.parse(String(await writer.get(path)));
const from = list.metadata.resourceVersion;

const sentAt = [];
const times = [];
const connections = await Promise.all(
  Array.from({ length: Math.ceil(watchers / perConnection) }, () => openHttp2(tlsOf(program.kubeconfig, "h2"))),
);
await wait(3000);
const before = program.residentMb();
for (let i = 0; i < watchers; i++) {
  connections[i % connections.length].watch(`${path}?watch=true&allowWatchBookmarks=true&resourceVersion=${from}`);
}
while (connections.some((connection) => connection.answered() < connection.asked())) await wait(20);
await wait(3000);
const idleKb = ((program.residentMb() - before) * 1024) / watchers;

const cpu = cpuMs(program.pid);
const own = process.cpuUsage();
const began = performance.now();
const count = perSecond * seconds;
const writers = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(tlsOf(program.kubeconfig))));
const writes = writers.map(() => Promise.resolve());
for (let seq = 1; seq <= count; seq++) {
  const due = began + ((seq - 1) * 1000) / perSecond;
  while (performance.now() < due) await wait(1);
  const w = seq % writers.length;
  await writes[w];
  sentAt[seq] = performance.now();
  writes[w] = writers[w].put(`${path}/slice-${String(seq % 100)}`, slice(seq % 100, seq));
}
await Promise.all(writes);
const writtenS = (performance.now() - began) / 1000;
const deadline = performance.now() + 10_000;
while (times.length < count * watchers && performance.now() < deadline) await wait(10);
const { user, system } = process.cpuUsage(own);
const usedS = (performance.now() - began) / 1000;
console.log(conditions());
console.log(`${String(watchers)} watchers, ${String(perConnection)} to a connection: ${idleKb.toFixed(1)} kB for each idle one`);
console.log(`${(count / writtenS).toFixed(0)} changes/s, ${String(times.length)} of ${String(count * watchers)} deliveries arrived`);
const sorted = Float64Array.from(times).sort();
const p = (n) => sorted[Math.min(sorted.length - 1, Math.ceil((n / 100) * sorted.length) - 1)].toFixed(0);
console.log(`delivery: p50 ${p(50)} ms, p99 ${p(99)} ms, max ${p(100)} ms`);
console.log(
  `CPU: server ${((cpuMs(program.pid) - cpu) / usedS / 10).toFixed(0)} % of a core, this bench ${((user + system) / usedS / 10_000).toFixed(0)} %; server memory ${program.residentMb().toFixed(0)} MB`,
);
await program.stop();
process.exit(0);

/** As much of HTTP/2 as watching needs, by hand, so that the bench leaves the machine to the server. */
async function openHttp2(tls) {
  const socket = connect(tls);
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  const window = Buffer.alloc(6);
  window.writeUInt16BE(4, 0);
  window.writeUInt32BE(0x7fffffff, 2);
  const grow = Buffer.alloc(4);
  grow.writeUInt32BE(0x7fffffff - 65_535);
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, window), frame(8, 0, 0, grow)]));
  let stream = -1;
  let answered = 0;
  let rest = Buffer.alloc(0);
  const carried = new Map();
  socket.on("data", (chunk) => {
    const now = performance.now();
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (all.length - at >= 9) {
      const length = all.readUIntBE(at, 3);
      if (all.length - at < 9 + length) break;
      const type = all[at + 3];
      const payload = all.subarray(at + 9, at + 9 + length);
      if (type === 4 && (all[at + 4] & 1) === 0) socket.write(frame(4, 1, 0, Buffer.alloc(0)));
      if (type === 1) answered++;
      if (type === 0) data(all.readUInt32BE(at + 5), payload, now);
      at += 9 + length;
    }
    rest = all.subarray(at);
  });
  function data(id, payload, now) {
    const before = carried.get(id);
    const text = before === undefined ? payload : Buffer.concat([before, payload]);
    let end = 0;
    for (let at = text.indexOf(MARK); at !== -1 && at + 15 <= text.length; at = text.indexOf(MARK, end)) {
      end = at + 15;
      times.push(now - sentAt[Number(text.latin1Slice(at + 7, end))]);
    }
    // Events end with a line; a frame that does not may have cut a mark in two.
    if (text.at(-1) === 0x0a) carried.delete(id);
    else carried.set(id, Buffer.from(text.subarray(Math.max(end, text.length - 15))));
  }
  return {
    asked: () => (stream + 1) / 2,
    answered: () => answered,
    watch(url) {
      stream += 2;
      const length = Buffer.from([url.length < 127 ? url.length : 127]);
      const more = url.length < 127 ? Buffer.alloc(0) : Buffer.from([url.length - 127]);
      const head = Buffer.concat([Buffer.from([0x82, 0x87, 0x01, 1, 0x61, 0x04]), length, more, Buffer.from(url)]);
      socket.write(frame(1, 5, stream, head));
    },
  };
}

function frame(type, flags, stream, payload) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
