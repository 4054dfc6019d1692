// What one endpoint more or less in a headless Service of 5,000 costs DNS: node --import tsx bench/dns-change.mjs
// From the informer's event (an EndpointSlice as JSON.parse gives it) until the next question is answered, then until
// the compiled answer for the threads is made. CPU is the main thread's own, what it collects of garbage included;
// helpers of the collector are only in the mean of the whole process.
import { DnsIndex } from "../src/core/dns/dns-index.ts";
import { encodeMessage } from "../src/core/dns/encode.ts";
import { serviceView, sliceView } from "../src/core/dns/views.ts";
import { CompiledAnswers } from "../src/dns/compiled-answers.ts";
import { NO_METRICS } from "../src/dns/metrics.ts";
import { createResponder } from "../src/dns/responder.ts";
import { loadLibc } from "../src/kernel/libc.ts";
import { conditions, percentile } from "./measure.mjs";

const ENDPOINTS = 5000;
const ROUNDS = 2000;
const WARM_UP = 200;
const zone = {
  zones: [["cluster", "local"]],
  reverseZones: [["in-addr", "arpa"]],
  fallthrough: [],
  reverseCidrs: undefined,
  autopath: undefined,
  ttlSeconds: 5,
  firstSerial: 1,
  podRecords: "disabled",
  ignoresEmptyServices: false,
  serverAddresses: [],
};
const CLOCK_THREAD_CPUTIME_ID = 3;
const { libc } = await loadLibc();
const clockGettime = libc.func("int clock_gettime(int clock, uintptr_t time)");
const time = libc.allocate(16);
const timeWords = new BigInt64Array(time.buffer);
const peer = { address: "127.0.0.1", port: 1 };

console.log(conditions());
console.log(`one endpoint more or less in a headless Service of ${ENDPOINTS}, ${ROUNDS} changes`);
// As controllers make them, and the most that the API takes; Pods of a StatefulSet have host names, others none.
for (const perSlice of [100, 1000]) {
  measure(perSlice, "with host names", (i, n) => `big-${i}-${n}`);
  measure(perSlice, "without", () => undefined);
}

function measure(perSlice, kind, hostnameOf) {
  console.log(`slices of ${perSlice}, ${kind}`);
  const index = new DnsIndex();
  index.setNamespace("default", true);
  index.setService("default/big", serviceView({ metadata: { namespace: "default", name: "big" }, spec: { type: "ClusterIP", clusterIP: "None" } }));
  const slices = ENDPOINTS / perSlice;
  for (let i = 0; i < slices; i++) index.setSlice(`default/s${i}`, sliceView(endpointSlice(i, perSlice, hostnameOf)));
  const blocks = [{ zones: [[]], cluster: { index: () => index, zone }, forwards: [] }];
  const respond = createResponder({ metrics: NO_METRICS, nowMs: () => performance.now() }, blocks);
  const compiled = new CompiledAnswers({ threads: 1 });
  compiled.use(blocks, NO_METRICS);
  const questions = [1, 33].map((type) =>
    encodeMessage({ id: 1, isResponse: false, opcode: 0, recursionDesired: true, rcode: 0, question: { name: ["big", "default", "svc", "cluster", "local"], type, class: 1 }, answers: [], authority: [], additional: [], edns: { udpBytes: 1232, version: 0 } }, 512),
  );
  const wall = [];
  const cpu = [];
  const compile = [];
  const parse = [];
  const texts = Array.from({ length: 2 * slices }, (_, i) => JSON.stringify(endpointSlice(i % slices, perSlice - (i < slices ? 1 : 0), hostnameOf)));
  let processMs = 0;
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    const which = round % slices;
    const parseBefore = threadCpuMs();
    const event = JSON.parse(texts[round % texts.length]);
    const parseMs = threadCpuMs() - parseBefore;
    const question = questions[round % questions.length];
    const processBefore = process.cpuUsage();
    const cpuBefore = threadCpuMs();
    const before = performance.now();
    index.setSlice(`default/s${which}`, sliceView(event, false, index.endpointsIn(`default/s${which}`)));
    const answer = respond(question, "udp", peer);
    if (answer === undefined) throw new Error("no answer");
    const answered = performance.now();
    const cpuMs = threadCpuMs() - cpuBefore;
    const { user, system } = process.cpuUsage(processBefore);
    compiled.offer(question, answer);
    if (round < WARM_UP) continue;
    parse.push(parseMs);
    compile.push(performance.now() - answered);
    wall.push(answered - before);
    cpu.push(cpuMs);
    processMs += (user + system) / 1000;
  }
  compiled[Symbol.dispose]();
  print("event to first answer, CPU", cpu, 1);
  print("event to first answer, wall", wall);
  console.log(`  event to first answer, CPU of all threads: mean ${(processMs / ROUNDS).toFixed(3)} ms`);
  print(`before it, the event's JSON (${texts[0].length} bytes) parsed, CPU`, parse);
  print("after it, the threads' answer compiled, wall", compile);
}

function threadCpuMs() {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time.address);
  return Number(timeWords[0]) * 1000 + Number(timeWords[1]) / 1e6;
}

function print(what, times, barMs) {
  const [p50, p99] = [50, 99].map((p) => percentile(times, p));
  const verdict = barMs === undefined ? "" : ` (p99 <= ${barMs} ms ${p99 <= barMs ? "holds" : "does not hold"})`;
  console.log(`  ${what}: p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms${verdict}`);
}

function endpointSlice(i, count, hostnameOf) {
  return {
    metadata: { namespace: "default", name: `s${i}`, labels: { "kubernetes.io/service-name": "big" } },
    endpoints: Array.from({ length: count }, (_, n) => ({
      addresses: [`10.${i}.${n >> 8}.${n & 255}`],
      hostname: hostnameOf(i, n),
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: "Pod", name: `big-${i}-${n}`, namespace: "default" },
    })),
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
  };
}
