import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { HOST_CACHE } from "../../src/core/dns/corefile/cache-directive.ts";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { encodeMessage } from "../../src/core/dns/encode.ts";
import { TCP_BYTES, TYPE } from "../../src/core/dns/message.ts";
import type { Message } from "../../src/core/dns/message.ts";
import { AnswerCache } from "../../src/dns/answer-cache.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import type { Forwarder } from "../../src/dns/forwarder.ts";
import { a, domain, ip, port, silent, startUpstream } from "./fake-upstream.ts";

const FORGED = "6.6.6.6";
const RIGHT = "192.0.2.1";

function question(name: string, type: number = TYPE.A): Parameters<Forwarder["resolve"]>[0] {
  return {
    name: domain(name),
    type,
    class: 1,
    dnssecOk: false,
    authenticData: false,
    checkingDisabled: false,
  };
}

interface Raw extends AsyncDisposable {
  readonly forwarder: Forwarder;
  /** The next query, as it came. */
  asked(): Promise<{ readonly query: Message; readonly peer: RemoteInfo }>;
  readonly socket: Socket;
}

/** A forwarder, and the bare socket of the server that it asks. */
async function startRaw(): Promise<Raw> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const upstream = { address: ip("127.0.0.1"), port: port(socket.address().port) };
  const forwarder = startForwarder(
    { upstreams: () => Promise.resolve([upstream]), log: silent, nowMs: () => 0 },
    { ...FORWARDER_DEFAULTS, maxFails: 0 },
  );
  return {
    forwarder,
    socket,
    asked: async () => {
      const [bytes, peer] = (await once(socket, "message")) as [Buffer, RemoteInfo];
      const query = decodeMessage(bytes);
      assert.ok(query);
      return { query, peer };
    },
    [Symbol.asyncDispose]: async () => {
      await forwarder[Symbol.asyncDispose]();
      socket.close();
    },
  };
}

function answerTo(query: Message, address: string, more: Partial<Message> = {}): Uint8Array {
  const answers = [a(query.question?.name.join(".") ?? "", address)];
  const message = { ...query, isResponse: true, recursionAvailable: true, answers, ...more };
  return encodeMessage(message, TCP_BYTES);
}

async function send(from: Socket, bytes: Uint8Array, to: RemoteInfo): Promise<void> {
  await new Promise<void>((resolve) => {
    from.send(bytes, to.port, to.address, () => {
      resolve();
    });
  });
}

function addressesOf(answer: Awaited<ReturnType<Forwarder["resolve"]>>): readonly string[] {
  assert.equal(answer.kind, "answer");
  return answer.kind === "answer"
    ? answer.message.answers.map(({ data }) => ("address" in data ? data.address : data.kind))
    : [];
}

describe("a question to an upstream server", () => {
  it("RFC 5452: comes from a port and with an id of its own each time, none of which follows from another", async () => {
    const COUNT = 200;
    await using raw = await startRaw();
    const ports: number[] = [];
    const ids: number[] = [];
    for (let i = 0; i < COUNT; i++) {
      const answered = raw.forwarder.resolve(question(`n${String(i)}.example.com`));
      const { query, peer } = await raw.asked();
      ports.push(peer.port);
      ids.push(query.id);
      await send(raw.socket, answerTo(query, RIGHT), peer);
      assert.deepEqual(addressesOf(await answered), [RIGHT]);
    }
    // Of 200 out of 28,000 or 65,536 few are the same, and hardly any is the neighbour of the one before.
    for (const [numbers, most] of [
      [ports, 10],
      [ids, 5],
    ] as const) {
      assert.ok(new Set(numbers).size > COUNT - most, JSON.stringify(numbers));
      const steps = numbers.slice(1).map((each, i) => each - (numbers[i] ?? 0));
      const neighbours = steps.filter((step) => Math.abs(step) <= 2).length;
      assert.ok(neighbours < most, JSON.stringify(numbers));
      // Both halves of what there is are used.
      const middle = (Math.min(...numbers) + Math.max(...numbers)) / 2;
      const high = numbers.filter((each) => each > middle).length;
      assert.ok(high > COUNT / 4 && high < (3 * COUNT) / 4, JSON.stringify(numbers));
    }
  });

  for (const [what, from] of [
    ["another port", { address: "127.0.0.1", samePort: false }],
    ["another address", { address: "127.0.0.2", samePort: true }],
  ] as const) {
    it(`RFC 5452: is not answered by what comes from ${what}, though id and question are right`, async () => {
      await using raw = await startRaw();
      const stranger = createSocket("udp4");
      stranger.bind(from.samePort ? raw.socket.address().port : 0, from.address);
      await once(stranger, "listening");
      // The kernel says that nobody takes it.
      stranger.on("error", () => undefined);
      const answered = raw.forwarder.resolve(question("www.example.com"));
      const { query, peer } = await raw.asked();
      await send(stranger, answerTo(query, FORGED), peer);
      await send(raw.socket, answerTo(query, RIGHT), peer);
      assert.deepEqual(addressesOf(await answered), [RIGHT]);
      stranger.close();
    });
  }

  it("RFC 5452: is not answered by another id, name, type, class or opcode, nor by a question", async () => {
    await using raw = await startRaw();
    const answered = raw.forwarder.resolve(question("www.example.com"));
    const { query, peer } = await raw.asked();
    const asked = query.question;
    assert.ok(asked);
    const forgeries: readonly Partial<Message>[] = [
      { id: query.id ^ 1 },
      { question: { ...asked, name: domain("www.example.org") } },
      { question: { ...asked, type: TYPE.AAAA } },
      { question: { ...asked, class: 3 } },
      { question: undefined },
      { opcode: 4 },
      { isResponse: false },
    ];
    for (const each of forgeries) await send(raw.socket, answerTo(query, FORGED, each), peer);
    await send(raw.socket, answerTo(query, RIGHT), peer);
    assert.deepEqual(addressesOf(await answered), [RIGHT]);
  });

  it("brings nothing into the cache but what it asked for", async () => {
    await using upstream = await startUpstream((query) => {
      const name = query.question?.name.join(".") ?? "";
      if (name !== "www.example.com") return { answers: [a(name, RIGHT)] };
      return {
        answers: [a(name, RIGHT), a("victim.example.net", FORGED)],
        authority: [
          {
            name: domain("example.net"),
            ttlSeconds: 60,
            data: { kind: "NS", target: domain("ns.example.net") },
          },
        ],
        additional: [a("victim.example.net", FORGED), a("ns.example.net", FORGED)],
      };
    });
    await using forwarder = startForwarder(
      {
        upstreams: () => Promise.resolve([upstream]),
        log: silent,
        nowMs: () => 0,
        cache: new AnswerCache(HOST_CACHE),
      },
      { ...FORWARDER_DEFAULTS, maxFails: 0 },
    );
    assert.deepEqual(addressesOf(await forwarder.resolve(question("www.example.com"))), [RIGHT]);
    for (const name of ["victim.example.net", "ns.example.net"]) {
      assert.deepEqual(addressesOf(await forwarder.resolve(question(name))), [RIGHT], name);
    }
    // From the cache, and still without.
    const cached = await forwarder.resolve(question("www.example.com"));
    assert.deepEqual(addressesOf(cached), [RIGHT]);
    assert.equal(upstream.queries.length, 3);
    const { authority, additional } =
      cached.kind === "answer" ? cached.message : { authority: [], additional: [] };
    assert.deepEqual([authority, additional], [[], []]);
  });
});
