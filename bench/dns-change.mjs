// What one endpoint more or less in a headless Service of 5,000 costs DNS, with the first answer after it:
// node --import tsx bench/dns-change.mjs
import { cpus } from "node:os";
import { answer } from "../src/core/dns/answer.ts";
import { DnsIndex } from "../src/core/dns/dns-index.ts";
import { serviceView, sliceView } from "../src/core/dns/views.ts";

const ENDPOINTS = 5000;
const PER_SLICE = 100;
const ROUNDS = 2000;

const zone = {
  zones: [["cluster", "local"]],
  reverseZones: [],
  fallthrough: [],
  reverseCidrs: undefined,
  autopath: undefined,
  ttlSeconds: 5,
  firstSerial: 1,
  podRecords: "disabled",
  ignoresEmptyServices: false,
  serverAddresses: [],
};
const question = { name: ["big", "default", "svc", "cluster", "local"], type: 1, class: 1 };

const index = new DnsIndex();
index.setNamespace("default", true);
const service = {
  metadata: { namespace: "default", name: "big" },
  spec: { type: "ClusterIP", clusterIP: "None" },
};
index.setService("default/big", serviceView(service));
for (let i = 0; i < ENDPOINTS / PER_SLICE; i++) index.setSlice(`default/s${i}`, sliceOf(i, PER_SLICE));

const times = [];
for (let round = 0; round < ROUNDS; round++) {
  const which = round % (ENDPOINTS / PER_SLICE);
  const slice = endpointSlice(which, PER_SLICE - (round % 2 === 0 ? 1 : 0));
  const start = performance.now();
  index.setSlice(`default/s${which}`, sliceView(slice));
  const decision = answer(question, index, zone, round, 1232);
  times.push(performance.now() - start);
  if (decision.answers.length === 0) throw new Error("no answer");
}
times.sort((a, b) => a - b);
const at = (share) => times[Math.floor(times.length * share)].toFixed(3);
console.log(
  `one endpoint more or less in a headless Service of ${ENDPOINTS} (slices of ${PER_SLICE}), and the first answer: ` +
    `median ${at(0.5)} ms, p99 ${at(0.99)} ms (${ROUNDS} changes, ${cpus()[0]?.model}, Node ${process.version})`,
);

function sliceOf(i, count) {
  return sliceView(endpointSlice(i, count));
}

function endpointSlice(i, count) {
  return {
    metadata: {
      namespace: "default",
      name: `s${i}`,
      labels: { "kubernetes.io/service-name": "big" },
    },
    endpoints: Array.from({ length: count }, (_, n) => ({
      addresses: [`10.${i >> 8}.${i & 255}.${n}`],
      conditions: { ready: true },
    })),
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
  };
}
