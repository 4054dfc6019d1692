import { createSocket } from "node:dgram";
import { once } from "node:events";
import { HOST_CACHE } from "../../src/core/dns/corefile/cache-directive.ts";
import { AnswerCache } from "../../src/dns/answer-cache.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import { listenBoth } from "../../src/dns/listen-both.ts";
import type { Respond } from "../../src/dns/listener.ts";
import { NO_METRICS } from "../../src/dns/metrics.ts";
import { createResponder } from "../../src/dns/responder.ts";
import { ip, port, silent } from "./fake-upstream.ts";
import { pickFrom } from "./fuzz-packets.ts";
import { indexOf, service, slice, zoneOptions } from "./zone.ts";

/** Endpoints of the large headless Service: far more than a UDP answer holds. */
const ENDPOINTS = 500;

export interface FuzzTarget extends AsyncDisposable {
  readonly port: number;
  readonly respond: Respond;
}

/**
 * A whole server, on UDP and TCP of a free port, with names of all kinds, and with an upstream whose answers are
 * as hostile as the questions. A defect in it is not caught, as `portolan` does, but ends the process.
 */
export async function startResponding(): Promise<FuzzTarget> {
  const members = Array.from({ length: ENDPOINTS }, (_, i) => ({
    addresses: [`10.113.${String(i >> 8)}.${String(i & 255)}`],
    hostname: `pod-${String(i)}`,
  }));
  const http = { name: "http", protocol: "TCP", port: 80 } as const;
  const index = indexOf(
    [
      service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [http] }),
      service("big", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
      service("outside", { type: "ExternalName", externalName: "api.example.com" }),
      service("loop", { type: "ExternalName", externalName: "loop.default.svc.cluster.local" }),
    ],
    [slice("big", members)],
  );
  const upstream = await hostileUpstream();
  const forwarder = startForwarder(
    {
      upstreams: () => Promise.resolve([{ address: ip("127.0.0.1"), port: port(upstream.port) }]),
      log: silent,
      nowMs: () => performance.now(),
      cache: new AnswerCache(HOST_CACHE),
      stale: HOST_CACHE.serveStale,
    },
    { ...FORWARDER_DEFAULTS, tryMs: 50, maxInFlight: 100, maxFails: 0 },
  );
  const respond = createResponder({ metrics: NO_METRICS, nowMs: () => performance.now() }, [
    {
      zones: [[]],
      cluster: { index: () => index, zone: { ...zoneOptions, autopath: { search: [] } } },
      forwards: [{ from: [], except: [], forwarder }],
    },
  ]);
  const listener = await listenBoth(
    { respond, log: silent },
    { address: ip("127.0.0.1"), port: port(0) },
  );
  return {
    port: listener.port,
    respond,
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      await forwarder[Symbol.asyncDispose]();
      upstream[Symbol.dispose]();
    },
  };
}

/** Answers with the right id and question, and garbage behind them. */
async function hostileUpstream(): Promise<Disposable & { readonly port: number }> {
  const pick = pickFrom(4711);
  const socket = createSocket("udp4");
  socket.on("message", (query, peer) => {
    const answer = Buffer.concat([
      query,
      Buffer.from(Array.from({ length: pick(60) }, () => pick(256))),
    ]);
    answer[2] = 0x80 | pick(8);
    answer[3] = pick(256);
    for (const at of [7, 9, 11]) answer[at] = pick(3);
    if (pick(10) === 0) answer[pick(answer.length)] = pick(256);
    socket.send(answer, peer.port, peer.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    [Symbol.dispose]: () => {
      socket.close();
    },
  };
}
