import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HOST_CACHE } from "../../src/core/dns/corefile/cache-directive.ts";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { parseDomainName } from "../../src/core/dns/domain-name.ts";
import { encodeMessage } from "../../src/core/dns/encode.ts";
import { TCP_BYTES, TYPE, typeOf } from "../../src/core/dns/message.ts";
import type { Edns, Message } from "../../src/core/dns/message.ts";
import { AnswerCache } from "../../src/dns/answer-cache.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import type { Protocol, Respond } from "../../src/dns/listener.ts";
import { NO_METRICS } from "../../src/dns/metrics.ts";
import { createResponder } from "../../src/dns/responder.ts";
import { a, silent, startUpstream } from "./fake-upstream.ts";
import { questionMessage } from "./question.ts";
import { indexOf, service, slice, zoneOptions } from "./zone.ts";

const ENDPOINTS = 5000;
const PLAIN = 512;
const OUR_LIMIT = 1232;
const LARGE = "large.default.svc.cluster.local";
const PEER = { address: "192.0.2.1", port: 53 };

const NAMES = [
  LARGE,
  `_http._tcp.${LARGE}`,
  `pod-17.${LARGE}`,
  `nobody.${LARGE}`,
  "web.default.svc.cluster.local",
  "outside.default.svc.cluster.local",
  "cluster.local",
  "dns-version.cluster.local",
  "10.0.96.10.in-addr.arpa",
  "long.example.net",
  "none.example.net",
  "www.example.net.default.svc.cluster.local",
  "localhost",
  ".",
];
const TYPES = [1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 64, 250, 251, 252, 255, 65_535];

interface Asked {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly edns: Edns | undefined;
}

function questionOf({ name, type, class: of, edns }: Asked): Message {
  const asked = { name: parseDomainName(name) ?? [], type, class: of };
  return questionMessage(asked, { id: 4711, edns });
}

interface Zone extends AsyncDisposable {
  ask(asked: Partial<Asked> & { readonly name: string }, protocol?: Protocol): Promise<Uint8Array>;
  /** How often others were asked. */
  forwarded(): number;
}

/** A cluster with a Service of 5,000 endpoints, and others' names with as much behind them. */
async function startZone(): Promise<Zone> {
  const http = { name: "http", protocol: "TCP", port: 80 } as const;
  const members = Array.from({ length: ENDPOINTS }, (_, i) => ({
    addresses: [`10.112.${String(i >> 8)}.${String(i & 255)}`],
    hostname: `pod-${String(i)}`,
  }));
  const index = indexOf(
    [
      service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [http] }),
      service("large", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
      service("outside", { type: "ExternalName", externalName: "long.example.net" }),
    ],
    [slice("large", members)],
  );
  const upstream = await startUpstream((query) =>
    query.question?.name.includes("none") === true
      ? { rcode: 3 }
      : {
          answers: Array.from({ length: 200 }, (_, i) => ({
            ...a("long.example.net", `192.0.2.${String(i)}`),
            name: query.question?.name ?? [],
          })),
        },
  );
  const forwarder = startForwarder(
    {
      upstreams: () => Promise.resolve([upstream]),
      log: silent,
      nowMs: () => 0,
      cache: new AnswerCache(HOST_CACHE),
    },
    { ...FORWARDER_DEFAULTS, maxFails: 0 },
  );
  const respond: Respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, [
    {
      zones: [[]],
      cluster: { index: () => index, zone: { ...zoneOptions, autopath: { search: [] } } },
      forwards: [{ from: [], except: [], forwarder }],
    },
  ]);
  return {
    ask: async (asked, protocol = "udp") => {
      const question = questionOf({ type: TYPE.A, class: 1, edns: undefined, ...asked });
      const sent = await respond(encodeMessage(question, TCP_BYTES), protocol, PEER);
      assert.ok(sent instanceof Uint8Array, "one message is an answer");
      return sent;
    },
    forwarded: () => upstream.queries.length,
    [Symbol.asyncDispose]: async () => {
      await forwarder[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function addressesOf(answer: Uint8Array): readonly string[] {
  return (decodeMessage(answer)?.answers ?? []).flatMap(({ data }) =>
    data.kind === "A" ? [data.address] : [],
  );
}

describe("an answer over UDP", () => {
  it("DNS-018: is never longer than the asker takes, nor than 1232 bytes, nor than 512 without EDNS", async () => {
    await using zone = await startZone();
    const edns = fc.option(
      fc.record({
        udpBytes: fc.oneof(fc.nat(65_535), fc.constantFrom(0, 511, 512, 513, 1231, 1232, 4096)),
        dnssecOk: fc.boolean(),
        version: fc.constantFrom(0, 0, 0, 1, 255),
        isPadded: fc.boolean(),
      }),
      { nil: undefined },
    );
    const asked = fc.record({
      name: fc.constantFrom(...NAMES),
      type: fc.oneof(fc.constantFrom(...TYPES), fc.nat(65_535)),
      class: fc.constantFrom(1, 1, 1, 3, 255),
      edns,
    });
    await fc.assert(
      fc.asyncProperty(asked, async (question) => {
        const limit =
          question.edns === undefined
            ? PLAIN
            : Math.min(OUR_LIMIT, Math.max(PLAIN, question.edns.udpBytes));
        // Once from whoever knows, once from the cache.
        for (let i = 0; i < 2; i++) {
          const { length } = await zone.ask(question);
          assert.ok(length <= limit, `${String(length)} bytes`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is cut to what each asker takes, from the cache as well", async () => {
    await using zone = await startZone();
    const name = "long.example.net";
    const whole = await zone.ask({ name }, "tcp");
    assert.equal(addressesOf(whole).length, 200);
    // Over UDP, which did not hold it, and over TCP.
    assert.equal(zone.forwarded(), 2);
    for (const [udpBytes, bytes] of [
      [undefined, PLAIN],
      [600, 600],
      [1232, OUR_LIMIT],
      [65_535, OUR_LIMIT],
    ] as const) {
      const edns = udpBytes === undefined ? undefined : { udpBytes, dnssecOk: false, version: 0 };
      const answer = await zone.ask({ name, edns });
      assert.ok(answer.length <= bytes && answer.length > bytes - 16, String(answer.length));
      assert.equal(decodeMessage(answer)?.truncated, true);
    }
    assert.equal(zone.forwarded(), 2);
  });

  it("RFC 8482: to ANY is records of one type, whoever knows the name", async () => {
    await using zone = await startZone();
    for (const name of [LARGE, "web.default.svc.cluster.local", "cluster.local"]) {
      const message = decodeMessage(
        await zone.ask({
          name,
          type: TYPE.ANY,
          edns: { udpBytes: 4096, dnssecOk: true, version: 0 },
        }),
      );
      const types = (message?.answers ?? []).map(({ data }) => typeOf(data));
      assert.equal(types.length, 1, name);
      assert.deepEqual([message?.authority, message?.additional], [[], []], name);
    }
  });
});

describe("a headless Service of 5,000 endpoints", () => {
  it("has over TCP as many as a message holds, says that some are missing, and turns to others", async () => {
    await using zone = await startZone();
    const seen = new Map<string, number>();
    // 65,535 bytes less the header and the question; each record has sixteen.
    const most = Math.floor((65_535 - 12 - (LARGE.length + 2) - 4) / 16);
    let answers = 0;
    for (; seen.size < ENDPOINTS; answers++) {
      assert.ok(answers < 10, `${String(seen.size)} after ${String(answers)} answers`);
      const answer = await zone.ask({ name: LARGE }, "tcp");
      const addresses = addressesOf(answer);
      assert.equal(addresses.length, most);
      assert.equal(new Set(addresses).size, most);
      assert.equal(decodeMessage(answer)?.truncated, true);
      for (const address of addresses) seen.set(address, (seen.get(address) ?? 0) + 1);
    }
    assert.equal(answers, 2);
  });

  it("gives each address equally often over UDP", async () => {
    await using zone = await startZone();
    const counts = new Map<string, number>();
    const edns = { udpBytes: 1232, dnssecOk: false, version: 0 };
    let each = 0;
    for (let i = 0; i < ENDPOINTS; i++) {
      const addresses = addressesOf(await zone.ask({ name: LARGE, edns }));
      each = addresses.length;
      for (const address of addresses) counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    assert.equal(counts.size, ENDPOINTS);
    assert.deepEqual(new Set(counts.values()), new Set([each]));
    assert.ok(each > 50);
  });

  it("has in a name of its own each endpoint", async () => {
    await using zone = await startZone();
    for (const i of [0, 2500, 4999]) {
      const answer = await zone.ask({ name: `pod-${String(i)}.${LARGE}` });
      assert.deepEqual(addressesOf(answer), [`10.112.${String(i >> 8)}.${String(i & 255)}`]);
    }
  });
});
