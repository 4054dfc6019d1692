import { HOST_CACHE } from "../../src/core/dns/corefile/cache-directive.ts";
import { AnswerCache } from "../../src/dns/answer-cache.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import { CompiledAnswers } from "../../src/dns/compiled-answers.ts";
import { makeAuthority, makeCertificate } from "../../src/apiserver/certificate-maker.ts";
import { listenBoth, listenTls } from "../../src/dns/listen-both.ts";
import type { Respond } from "../../src/dns/listener.ts";
import { NO_METRICS } from "../../src/dns/metrics.ts";
import type { DnsMetrics } from "../../src/dns/metrics.ts";
import { createResponder } from "../../src/dns/responder.ts";
import { threadsFor } from "../../src/dns/udp-threads.ts";
import { keyOf } from "../../src/api/machinery/object-key.ts";
import { sliceView } from "../../src/core/dns/views.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { ip, port } from "./fake-upstream.ts";
import { startHostileUpstream } from "./hostile-upstream.ts";
import { indexOf, service, slice, zoneOptions } from "./zone.ts";

/** Endpoints of the large headless Service: far more than a UDP answer holds. */
const ENDPOINTS = 500;

/** So often the cluster changes meanwhile, and with it what was compiled. */
const CHANGE_MS = 5;
const UDP_WORKER = new URL("udp-worker.mjs", import.meta.url);

export interface FuzzTarget extends AsyncDisposable {
  readonly port: number;
  /** Where it speaks DNS over TLS. */
  readonly tlsPort: number;
  /** How many messages came so far. */
  seen(): number;
}

/** An error that the server logs is one that it went on after: here it ends the process. */
const strict = createLogger({
  write: (line) => {
    process.stderr.write(`${line}\n`);
    process.exit(1);
  },
  level: "error",
  format: "text",
  now: () => new Date(0),
});

/**
 * A whole server, on UDP and TCP of a free port, with names of all kinds, and with an upstream whose answers are
 * as hostile as the questions, over a cluster that changes. A defect in it is not caught, as `portolan` does, but
 * ends the process.
 */
export async function startResponding(hasThreads: boolean): Promise<FuzzTarget> {
  const members = Array.from({ length: ENDPOINTS }, (_, i) => ({
    addresses: [`10.113.${String(i >> 8)}.${String(i & 255)}`],
    hostname: `pod-${String(i)}`,
  }));
  const http = { name: "http", protocol: "TCP", port: 80 } as const;
  const index = indexOf(
    [
      service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [http] }),
      service("small", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
      service("big", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
      service("outside", { type: "ExternalName", externalName: "api.example.com" }),
      service("loop", { type: "ExternalName", externalName: "loop.default.svc.cluster.local" }),
    ],
    [slice("big", members)],
  );
  const upstream = await startHostileUpstream();
  const forwarder = startForwarder(
    {
      upstreams: () => Promise.resolve([{ address: ip("127.0.0.1"), port: port(upstream.port) }]),
      log: strict,
      nowMs: () => performance.now(),
      cache: new AnswerCache(HOST_CACHE),
      stale: HOST_CACHE.serveStale,
    },
    { ...FORWARDER_DEFAULTS, tryMs: 100, maxInFlight: 10, maxFails: 0 },
  );
  const blocks = [
    {
      zones: [[]],
      cluster: { index: () => index, zone: { ...zoneOptions, autopath: { search: [] } } },
      forwards: [{ from: [], except: [], forwarder }],
      transfers: [{ zones: [["cluster", "local"]], to: undefined }],
    },
  ];
  let seen = 0;
  let compiledAnswers = 0;
  const metrics = new Metrics();
  const counting: DnsMetrics = {
    ...NO_METRICS,
    counted: (_series, tally) => (compiledAnswers += tally.answers),
  };
  const compiled = hasThreads
    ? new CompiledAnswers({ threads: 1, worker: UDP_WORKER }, metrics)
    : undefined;
  compiled?.use(blocks, counting);
  const answer = createResponder({ metrics: counting, nowMs: () => performance.now() }, blocks);
  const respond: Respond = (...asked) => {
    seen += 1;
    return answer(...asked);
  };
  const listener = await listenBoth(
    { respond, log: strict, udp: compiled && threadsFor(compiled) },
    { address: ip("127.0.0.1"), port: port(0) },
  );
  const made = makeCertificate(
    makeAuthority("fuzz", Date.now()),
    { commonName: "dns", organizations: [], alternativeNames: ["127.0.0.1"], usage: "server" },
    Date.now(),
  );
  const pair = { cert: made.certificate, key: made.key };
  const secure = await listenTls(
    { respond, log: strict },
    { address: ip("127.0.0.1"), port: port(0) },
    () => pair,
  );
  let changes = 0;
  const changing = setInterval(() => {
    changes += 1;
    const address = `10.114.0.${String(changes & 255)}`;
    const changed = slice("small", [{ addresses: [address], hostname: "pod-7" }]);
    index.setSlice(keyOf(changed), sliceView(changed));
  }, CHANGE_MS);
  return {
    port: listener.port,
    tlsPort: secure.port,
    seen: () => {
      // Counted when somebody looks.
      metrics.render();
      return seen + compiledAnswers;
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(changing);
      await secure[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      compiled?.[Symbol.dispose]();
      await forwarder[Symbol.asyncDispose]();
      upstream[Symbol.dispose]();
    },
  };
}
