import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { ip, port, silent, startUpstream } from "../../test/dns/fake-upstream.ts";
import { MemoryApi } from "../../test/dns/memory-api.ts";
import { service, slice } from "../../test/dns/zone.ts";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import { createInformers } from "../client/shared-informers.ts";
import type { Informers } from "../client/informer.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { RCODE, TYPE } from "../core/dns/message.ts";
import type { Message } from "../core/dns/message.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { questionMessage } from "../../test/dns/question.ts";
import { RateLimiter, countRateLimits, createRateLimitMemory } from "./rate-limit.ts";
import { startDns } from "./server.ts";
import type { DnsServer } from "./server.ts";

const worker = new URL("../../test/dns/udp-worker.mjs", import.meta.url);
const run = promisify(execFile);
const hasDig = spawnSync("dig", ["-v"]).error === undefined;
const needsDig = { skip: hasDig ? false : "dig is not installed (Debian: bind9-dnsutils)" };

interface Cluster extends AsyncDisposable {
  readonly server: DnsServer;
  readonly slow: DnsServer;
  readonly metrics: Metrics;
  put(object: Service | EndpointSlice): Promise<void>;
}

/** Two servers of the same cluster, with threads and without. */
async function startCluster(
  log: Logger = silent,
  program = worker,
  rateLimiter?: RateLimiter,
): Promise<Cluster> {
  const api = new MemoryApi();
  const informers: Informers = createInformers({ client: api, log });
  const metrics = new Metrics();
  const upstream = await startUpstream(() => ({ rcode: RCODE.NXDOMAIN }));
  const options = {
    listen: { address: ip("127.0.0.1"), port: port(0) },
    reverseCidrs: [],
    upstreams: [upstream],
  };
  const server = await startDns(
    { informers, log, metrics },
    { ...options, fastPath: { threads: 2, worker: program, rateLimiter } },
  );
  const slow = await startDns({ informers, log }, options);
  api.put(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  api.openGate();
  const signal = AbortSignal.timeout(20_000);
  await informers.of(namespaceKind).synced(signal);
  await informers.of(serviceKind).synced(signal);
  await informers.of(endpointSliceKind).synced(signal);
  return {
    server,
    slow,
    metrics,
    put: async (object) => {
      // Both are served kinds; the objects are theirs.
      const kind: KindDefinition = "spec" in object ? serviceKind : endpointSliceKind;
      await new Promise<void>((resolve) => {
        // The DNS servers subscribed first, so they know what this one hears.
        const before = informers.of(kind).get(keyOf(object));
        const subscription = informers.of(kind).onChange(({ key, after }) => {
          if (key !== keyOf(object) || after === before) return;
          subscription[Symbol.dispose]();
          resolve();
        });
        api.put(kind, object);
      });
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await slow[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Asks one question after the other, each until it is answered. */
class Client implements AsyncDisposable {
  readonly #socket = createSocket("udp4");

  async ask(server: DnsServer, message: Uint8Array): Promise<Uint8Array> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const timeout = AbortSignal.timeout(2000);
      const answer = once(this.#socket, "message", { signal: timeout }).catch((error: unknown) => {
        if (!timeout.aborted) throw error;
        return [undefined];
      });
      this.send(server, message);
      const [received] = await answer;
      const isAnswer =
        received instanceof Uint8Array && received[0] === message[0] && received[1] === message[1];
      if (isAnswer) return received;
    }
    throw new Error("no answer to the question that was asked");
  }

  send(server: DnsServer, message: Uint8Array): void {
    this.#socket.send(message, server.port, "127.0.0.1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }
}

let lastId = 0;
function query(name: string, type: number): Uint8Array {
  lastId = (lastId + 1) & 0xffff;
  const asked = { name: name.split("."), type, class: 1 };
  const edns = { udpBytes: 1232, dnssecOk: false, version: 0 };
  return encodeMessage(questionMessage(asked, { id: lastId, edns }), 512);
}

/** Questions that threads answered by themselves are counted when the metrics are read. */
function answeredBy(metrics: Metrics, type: string): number {
  const line = metrics
    .render()
    .split("\n")
    .find(
      (each) => each.startsWith("coredns_dns_requests_total") && each.includes(`type="${type}"`),
    );
  return Number(line?.split(" ").at(-1) ?? 0);
}

function valueOf(metrics: Metrics, name: string): number {
  const line = metrics
    .render()
    .split("\n")
    .find((each) => each.startsWith(name));
  return Number(line?.split(" ").at(-1) ?? 0);
}

function addresses(bytes: Uint8Array): readonly string[] {
  return (decodeMessage(bytes)?.answers ?? []).flatMap(({ data }) =>
    data.kind === "A" ? [data.address] : [],
  );
}

describe("DNS over UDP in threads", () => {
  it("answers as the main thread does, and counts every question", async () => {
    await using cluster = await startCluster();
    await using client = new Client();
    await cluster.put(service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    const cases: readonly (readonly [string, number])[] = [
      ["web.default.svc.cluster.local", TYPE.A],
      ["WeB.default.svc.CLUSTER.local", TYPE.A],
      ["web.default.svc.cluster.local", TYPE.AAAA],
      ["none.default.svc.cluster.local", TYPE.A],
      ["default.svc.cluster.local", TYPE.A],
      ["example.com", TYPE.A],
    ];
    for (const [name, type] of cases) {
      for (let i = 0; i < 10; i++) {
        const message = query(name, type);
        const [fast, slow] = [
          await client.ask(cluster.server, message),
          await client.ask(cluster.slow, message),
        ];
        // The two servers started at different times, and have serial numbers of their own.
        const answersOf = (bytes: Uint8Array): unknown => {
          const { authority, ...rest } = decodeMessage(bytes) ?? { authority: [] };
          return { ...rest, authority: authority.map((record) => record.name) };
        };
        assert.deepEqual(answersOf(fast), answersOf(slow), name);
      }
    }
    assert.equal(answeredBy(cluster.metrics, "A"), 50);
    // All but the name that others answer, and the first time of each other, whose letters make no difference; a name
    // that does not exist is compiled when it is asked for again.
    assert.equal(valueOf(cluster.metrics, "portolan_dns_compiled_answers_total"), 45);
    assert.equal(answeredBy(cluster.metrics, "AAAA"), 10);
    assert.match(cluster.metrics.render(), /coredns_dns_request_duration_seconds_count\{.*\} 60\n/);
  });

  it("holds back what one source gets beyond the limit, in all threads together, and counts it", async () => {
    const limiter = new RateLimiter(createRateLimitMemory(20, 4711), Date.now);
    await using cluster = await startCluster(silent, worker, limiter);
    using counting = countRateLimits(limiter, cluster.metrics);
    await cluster.put(service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    const question = query("web.default.svc.cluster.local", TYPE.A);
    const startSecond = Math.floor(Date.now() / 1000);
    const answers: Message[] = [];
    const sockets = Array.from({ length: 8 }, () => createSocket("udp4"));
    for (const socket of sockets) {
      socket.on("message", (bytes) => {
        const answer = decodeMessage(bytes);
        if (answer !== undefined) answers.push(answer);
      });
    }
    const rendered = (): string => cluster.metrics.render();
    const asked = (): number =>
      answeredBy(cluster.metrics, "A") +
      Number(/coredns_dns_requests_total\{.*zone="dropped".*\} (\d+)/.exec(rendered())?.[1] ?? 0);
    // Ports of many, so that each thread gets some; one after the other, so that none is lost on the way.
    const COUNT = 400;
    for (let i = 0; i < COUNT; i++) {
      sockets[i % sockets.length]?.send(question, cluster.server.port, "127.0.0.1");
      while (asked() <= i) await new Promise((resolve) => setImmediate(resolve));
    }
    const seconds = Math.floor(Date.now() / 1000) - startSecond + 1;
    const held = (action: string): number =>
      valueOf(cluster.metrics, `portolan_dns_rate_limited_total{action="${action}"}`);
    const [dropped, truncated] = [held("drop"), held("truncate")];
    while (answers.length < COUNT - dropped) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(answers.length, COUNT - dropped);
    assert.equal(answers.filter((answer) => answer.truncated).length, truncated);
    const whole = answers.filter((answer) => answer.answers.length === 1);
    assert.equal(whole.length, COUNT - dropped - truncated);
    assert.ok(whole.length <= 20 * seconds, `${String(whole.length)} in ${String(seconds)} s`);
    assert.ok(Math.abs(dropped - truncated) <= seconds, `${String(dropped)} dropped`);
    const short = answers.find((answer) => answer.truncated);
    assert.deepEqual(
      { ...short, id: 0 },
      {
        ...decodeMessage(question),
        id: 0,
        isResponse: true,
        truncated: true,
        recursionAvailable: true,
        edns: short?.edns,
      },
    );
    for (const socket of sockets) socket.close();
    assert.ok(counting);
  });

  it("gives no answer that was true before a change was known", async () => {
    await using cluster = await startCluster();
    await using client = new Client();
    await cluster.put(service("web", { clusterIP: "None" }));
    const name = "web.default.svc.cluster.local";
    for (let i = 1; i <= 200; i++) {
      const expected = `10.112.0.${String(i)}`;
      await cluster.put(slice("web", [{ addresses: [expected] }]));
      for (let j = 0; j < 3; j++) {
        assert.deepEqual(addresses(await client.ask(cluster.server, query(name, TYPE.A))), [
          expected,
        ]);
      }
      await cluster.put(slice("web", []));
      for (let j = 0; j < 3; j++) {
        const gone = decodeMessage(await client.ask(cluster.server, query(name, TYPE.A)));
        assert.equal(gone?.rcode, RCODE.NXDOMAIN);
      }
    }
  });

  it("survives any bytes", async () => {
    const errors: string[] = [];
    await using cluster = await startCluster({ ...silent, error: (event) => errors.push(event) });
    await using client = new Client();
    await cluster.put(service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    const known = query("web.default.svc.cluster.local", TYPE.A);
    await client.ask(cluster.server, known);
    const socket = createSocket("udp4");
    const send = promisify(socket.send.bind(socket) as SendTo);
    const messages = fc.sample(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 700 }),
        fc.tuple(fc.nat(known.length - 1), fc.nat(255)).map(([at, value]) => {
          const changed = known.slice();
          changed[at] = value;
          return changed;
        }),
        fc.constant(new Uint8Array(20_000)),
      ),
      2000,
    );
    for (const message of messages) await send(message, cluster.server.port, "127.0.0.1");
    socket.close();
    const message = query("web.default.svc.cluster.local", TYPE.A);
    assert.deepEqual(addresses(await client.ask(cluster.server, message)), ["10.96.0.1"]);
    assert.deepEqual(errors, []);
  });

  it("goes on in the main thread when a thread fails, and says so", async () => {
    const events: string[] = [];
    let failed: () => void = () => undefined;
    const failure = new Promise<void>((resolve) => {
      failed = resolve;
    });
    const log: Logger = {
      ...silent,
      error: (event) => {
        events.push(event);
        failed();
      },
      with: () => log,
    };
    const failing = new URL("../../test/dns/failing-udp-worker.mjs", import.meta.url);
    await using cluster = await startCluster(log, failing);
    await using client = new Client();
    await cluster.put(service("web", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    const message = query("web.default.svc.cluster.local", TYPE.A);
    client.send(cluster.server, message);
    await failure;
    assert.deepEqual(events, ["dns thread failed, the main one answers from now on"]);
    assert.deepEqual(addresses(await client.ask(cluster.server, message)), ["10.96.0.1"]);
  });

  it("is dig's equal on both paths", needsDig, async () => {
    await using cluster = await startCluster();
    await cluster.put(service("web", { clusterIP: "None" }));
    const endpoints = Array.from({ length: 300 }, (_, i) => ({
      addresses: [`10.112.${String(i >> 8)}.${String(i & 255)}`],
    }));
    await cluster.put(slice("web", endpoints));
    const dig = async (server: DnsServer, ...args: string[]): Promise<string> => {
      const where = ["@127.0.0.1", `-p${String(server.port)}`, "+time=5", "+tries=1"];
      const { stdout } = await run("dig", [...where, "web.default.svc.cluster.local", ...args]);
      return stdout;
    };
    for (let i = 0; i < 3; i++) {
      for (const args of [["+short"], ["+short", "+noedns"], ["+short", "+tcp"]]) {
        const [fast, slow] = [
          await dig(cluster.server, ...args),
          await dig(cluster.slow, ...args),
        ].map((text) => text.trim().split("\n").toSorted());
        assert.equal(fast?.length, 300, "truncated answers are asked for again over TCP");
        assert.deepEqual(fast, slow);
      }
      const cut = await dig(cluster.server, "+ignore");
      assert.match(cut, /flags: qr aa tc rd ra/);
      assert.match(cut, /ANSWER: 73,/);
    }
  });
});

type SendTo = (
  message: Uint8Array,
  port: number,
  address: string,
  done: (error: Error | null, bytes: number) => void,
) => void;
