import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { service, slice, zoneOptions } from "../../../test/dns/zone.ts";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { Service } from "../../api/v1/service.ts";
import { AnswerReader } from "./answer-reader.ts";
import { AnswerTable } from "./answer-table.ts";
import { CONTROL, createAnswerMemory } from "./answer-memory.ts";
import { answer } from "./answer.ts";
import { compileAnswer } from "./compiled-answer.ts";
import { decodeMessage, parseQuery } from "./decode.ts";
import { DnsIndex } from "./dns-index.ts";
import type { Dirty } from "./dns-index.ts";
import { formatDomainName } from "./domain-name.ts";
import { encodeMessage } from "./encode.ts";
import { TYPE } from "./message.ts";
import type { Edns } from "./message.ts";
import { encodeReply, maxReplyBytes } from "./reply.ts";
import type { ZoneOptions } from "./records.ts";
import { serviceView, sliceView } from "./views.ts";
import { questionMessage } from "../../../test/dns/question.ts";

const ROTATIONS = 128;
const NAMES = ["a", "b", "c"];

/** An index, and compiled answers kept as the DNS server does. */
class FastZone {
  readonly index = new DnsIndex();
  readonly packets = new ArrayBuffer(4096);
  readonly #memory = createAnswerMemory({
    arenaBytes: 1 << 21,
    slots: 1024,
    readers: 1,
    seed: 42,
  });
  readonly table = new AnswerTable(this.#memory);
  readonly reader = new AnswerReader(this.#memory, this.packets);
  readonly #options: ZoneOptions;
  #reads: Dirty[] | undefined;

  constructor(options: ZoneOptions = zoneOptions) {
    this.#options = options;
    this.index.observe({
      onDirty: (dirty) => {
        this.#setSerial();
        this.table.invalidate(dirty);
      },
      onRead: (read) => this.#reads?.push(read),
    });
    this.#setSerial();
  }

  put(object: Service | EndpointSlice): void {
    if (isService(object)) this.index.setService(keyOf(object), serviceView(object));
    else this.index.setSlice(keyOf(object), sliceView(object));
  }

  remove(object: Service | EndpointSlice): void {
    if (isService(object)) this.index.setService(keyOf(object), undefined);
    else this.index.setSlice(keyOf(object), undefined);
  }

  /** @returns whether there is an answer that can be compiled. */
  compile(message: Uint8Array, rotates = true): boolean {
    const parsed = parseQuery(message);
    assert.equal(parsed.kind, "query");
    const { question } = parsed;
    const reads: Dirty[] = [];
    this.#reads = reads;
    const compiled = compileAnswer(question, this.index, this.#options, rotates ? 0 : undefined);
    this.#reads = undefined;
    return compiled !== undefined && this.table.put(compiled, { reads, series: 0 });
  }

  fast(message: Uint8Array, rotation: number): Uint8Array | undefined {
    const bytes = new Uint8Array(this.packets);
    bytes.fill(0xaa);
    bytes.set(message, 0);
    const length = this.reader.answer(0, message.length, rotation);
    if (length === 0) {
      assert.deepEqual(bytes.subarray(0, message.length), message, "a message left alone is whole");
      return undefined;
    }
    return bytes.slice(0, length);
  }

  slow(message: Uint8Array, rotation: number): Uint8Array | undefined {
    const parsed = parseQuery(message);
    assert.equal(parsed.kind, "query");
    const maxBytes = maxReplyBytes(parsed.edns, "udp");
    const decision = answer(parsed.question, this.index, this.#options, rotation, maxBytes);
    return decision.kind === "answer" ? encodeReply(parsed, decision, "udp") : undefined;
  }

  /** All answers that the slow path gives, as text. */
  allSlow(message: Uint8Array): ReadonlySet<string> {
    const all = new Set<string>();
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      all.add(hex(this.slow(message, rotation)));
    }
    return all;
  }

  #setSerial(): void {
    this.table.serial = this.#options.firstSerial + this.index.changes;
  }
}

function isService(object: Service | EndpointSlice): object is Service {
  return object.kind === "Service";
}

function hex(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "none" : Buffer.from(bytes).toString("hex");
}

const address = fc
  .tuple(fc.boolean(), fc.nat(40))
  .map(([isIpv6, n]) => (isIpv6 ? `fd00::${n.toString(16)}` : `10.112.0.${String(n)}`));
const port = fc.record(
  {
    name: fc.constantFrom("http", "dns", "x"),
    protocol: fc.constantFrom("TCP" as const, "UDP" as const),
    port: fc.constantFrom(80, 53, 8080),
  },
  { noNullPrototype: true },
);
const ports = fc.uniqueArray(port, { maxLength: 3, selector: ({ name }) => name });
const anyService: fc.Arbitrary<Service> = fc
  .tuple(
    fc.constantFrom(...NAMES),
    fc.constantFrom("default", "other"),
    fc.oneof(
      fc
        .tuple(ports, fc.uniqueArray(address, { minLength: 1, maxLength: 2 }))
        .map(([list, clusterIPs]) => ({ ports: list, clusterIPs, clusterIP: clusterIPs[0] })),
      ports.map((list) => ({ ports: list, clusterIP: "None" })),
      fc
        .constantFrom("b.default.svc.cluster.local", "A.Other.svc.cluster.local", "example.com")
        .map((externalName) => ({ type: "ExternalName" as const, externalName })),
    ),
  )
  // Only what DNS reads of a Service.
  .map(([name, namespace, spec]) => service(name, spec as Service["spec"], namespace));
const anySlice: fc.Arbitrary<EndpointSlice> = fc
  .tuple(
    fc.constantFrom(...NAMES),
    fc.constantFrom("default", "other"),
    fc.constantFrom("s1", "s2"),
    fc.array(
      fc.record(
        {
          addresses: address.map((text) => [text]),
          hostname: fc.option(fc.constantFrom("h1", "h2"), { nil: undefined }),
        },
        { noNullPrototype: true },
      ),
      { maxLength: 60 },
    ),
    ports,
  )
  .map(([name, namespace, suffix, endpoints, list]) =>
    slice(
      name,
      endpoints.map(({ addresses, hostname }) =>
        hostname === undefined ? { addresses } : { addresses, hostname },
      ),
      list,
      { namespace, suffix },
    ),
  );
function step<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}
const change = fc.oneof(anyService, anySlice);
const mixedCase = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map((capitals) =>
      Array.from(text, (letter, i) => (capitals[i] === true ? letter.toUpperCase() : letter)).join(
        "",
      ),
    );
const nameText = fc
  .oneof(
    fc
      .tuple(
        fc.constantFrom("", "h1.", "10-112-0-1.", "_http._tcp.", "_dns._udp.", "_tcp.", "y.z."),
        fc.constantFrom(...NAMES, "none"),
        fc.constantFrom("default", "other", "gone"),
      )
      .map(([below, name, namespace]) => `${below}${name}.${namespace}.svc.cluster.local`),
    fc.constantFrom(
      "cluster.local",
      "svc.cluster.local",
      "default.svc.cluster.local",
      "ns.dns.cluster.local",
      "dns-version.cluster.local",
      "10-112-0-1.default.pod.cluster.local",
      "1.0.112.10.in-addr.arpa",
      "localhost",
      "nothing.cluster.local",
      "example.com",
    ),
  )
  .chain((text) => fc.oneof(fc.constant(text), mixedCase(text)));
const edns: fc.Arbitrary<Edns | undefined> = fc.option(
  fc.record(
    {
      udpBytes: fc.constantFrom(0, 512, 600, 800, 1232, 4096),
      dnssecOk: fc.boolean(),
      version: fc.constant(0),
    },
    { noNullPrototype: true },
  ),
  { nil: undefined },
);
const question: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    nameText,
    fc.constantFrom(TYPE.A, TYPE.AAAA, TYPE.SRV, TYPE.PTR, TYPE.SOA, TYPE.TXT, TYPE.ANY, 65),
    edns,
    fc.nat(0xffff),
    fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
  )
  .map(([name, type, opt, id, [recursionDesired, authenticData, checkingDisabled]]) => {
    const asked = { name: name.split("."), type, class: 1 };
    const flags = { recursionDesired, authenticData, checkingDisabled };
    return encodeMessage(questionMessage(asked, { id, ...flags, edns: opt }), 512);
  });

describe("compiled answers", () => {
  it("are what the rules answer, byte for byte but for the order of records", () => {
    let hits = 0;
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 8 }),
        fc.array(question, { minLength: 1, maxLength: 6 }),
        fc.nat(1000),
        (changes, questions, rotation) => {
          const zone = new FastZone();
          zone.index.setNamespace("default", true);
          for (const each of changes) zone.put(each);
          for (const message of questions) {
            const canCompile = zone.compile(message);
            assert.equal(canCompile, zone.slow(message, 0) !== undefined);
            const fast = zone.fast(message, rotation);
            if (fast === undefined) continue;
            hits += 1;
            const slow = zone.allSlow(message);
            assert.ok(
              slow.has(hex(fast)),
              `${hex(message)}: ${hex(fast)} is none of ${[...slow].join()}`,
            );
          }
        },
      ),
      { numRuns: 400 },
    );
    assert.ok(hits > 400, `only ${String(hits)} were answered`);
  });

  it("are byte for byte what the rules answer where the order of records stays", () => {
    let hits = 0;
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 8 }),
        fc.array(question, { minLength: 1, maxLength: 6 }),
        fc.nat(1000),
        (changes, questions, rotation) => {
          const zone = new FastZone();
          zone.index.setNamespace("default", true);
          for (const each of changes) zone.put(each);
          for (const message of questions) {
            zone.compile(message, false);
            const fast = zone.fast(message, rotation);
            if (fast === undefined) continue;
            hits += 1;
            assert.equal(hex(fast), hex(zone.slow(message, 0)));
          }
        },
      ),
      { numRuns: 400 },
    );
    assert.ok(hits > 400, `only ${String(hits)} were answered`);
  });

  it("are never given after what they were made from has changed", () => {
    let hits = 0;
    const steps = fc.array(
      fc.oneof(
        { weight: 2, arbitrary: step({ change }) },
        { weight: 1, arbitrary: step({ gone: change }) },
        {
          weight: 1,
          arbitrary: step({ namespace: fc.constantFrom("default", "other"), exists: fc.boolean() }),
        },
        { weight: 8, arbitrary: step({ ask: fc.nat(5) }) },
      ),
      { minLength: 40, maxLength: 80 },
    );
    fc.assert(
      fc.property(fc.array(question, { minLength: 6, maxLength: 6 }), steps, (questions, all) => {
        const zone = new FastZone({ ...zoneOptions, autopath: { search: [["example", "com"]] } });
        for (const each of all) {
          if ("change" in each) zone.put(each.change);
          else if ("namespace" in each) zone.index.setNamespace(each.namespace, each.exists);
          else if ("gone" in each) zone.remove(each.gone);
          else {
            const message = questions[each.ask] ?? new Uint8Array();
            const fast = zone.fast(message, 7);
            if (fast === undefined) {
              zone.compile(message);
              continue;
            }
            hits += 1;
            assert.ok(zone.allSlow(message).has(hex(fast)));
          }
        }
      }),
      { numRuns: 150 },
    );
    assert.ok(hits > 1000, `only ${String(hits)} were answered`);
  });

  it("have each address of a Service come first", () => {
    const zone = new FastZone();
    zone.put(service("a", { clusterIP: "None" }));
    const endpoints = Array.from({ length: 300 }, (_, i) => ({
      addresses: [`10.112.${String(i >> 8)}.${String(i & 255)}`],
    }));
    zone.put(slice("a", endpoints));
    const asked = query("a.default.svc.cluster.local", TYPE.A, 1232);
    assert.equal(zone.compile(asked), true);
    const first = new Set<string>();
    for (let rotation = 0; rotation < 300; rotation++) {
      const decoded = decodeMessage(zone.fast(asked, rotation) ?? new Uint8Array());
      assert.ok(decoded !== undefined);
      assert.deepEqual([decoded.truncated, decoded.answers.length], [true, 73]);
      const [record] = decoded.answers;
      first.add(record?.data.kind === "A" ? record.data.address : "none");
    }
    assert.equal(first.size, 300);
  });

  it("of a Service with more endpoints than are kept are made anew after some time", () => {
    const zone = new FastZone();
    zone.put(service("a", { clusterIP: "None" }));
    const endpoints = Array.from({ length: 5000 }, (_, i) => ({
      addresses: [`10.112.${String(i >> 8)}.${String(i & 255)}`],
    }));
    zone.put(slice("a", endpoints));
    const asked = query("a.default.svc.cluster.local", TYPE.A, 1232);
    assert.equal(zone.compile(asked), true);
    assert.equal(zone.table.find(["a", "default", "svc", "cluster", "local"], TYPE.A), undefined);
    let uses = 0;
    while (zone.fast(asked, uses) !== undefined) uses += 1;
    assert.equal(uses, 4096);
    assert.notEqual(
      zone.table.find(["a", "default", "svc", "cluster", "local"], TYPE.A),
      undefined,
    );
  });

  it("that are asked for stay when there is no more room, and none is overwritten while it may be read", () => {
    const memory = createAnswerMemory({ arenaBytes: 1 << 16, slots: 4096, readers: 1, seed: 1 });
    const table = new AnswerTable(memory);
    const packets = new ArrayBuffer(4096);
    const reader = new AnswerReader(memory, packets);
    const index = new DnsIndex();
    const put = (name: string): boolean => {
      index.setService(
        `default/${name}` as never,
        serviceView(service(name, { clusterIP: "10.96.0.1" })),
      );
      const labels = [name, "default", "svc", "cluster", "local"];
      const compiled = compileAnswer(
        { name: labels, type: TYPE.A, class: 1 },
        index,
        zoneOptions,
        0,
      );
      assert.ok(compiled !== undefined);
      return table.put(compiled, { reads: [], series: 0 });
    };
    const isFound = (name: string): boolean => {
      const message = query(`${name}.default.svc.cluster.local`, TYPE.A, 1232);
      new Uint8Array(packets).set(message, 0);
      return reader.answer(0, message.length, 0) > 0;
    };
    for (let i = 0; i < 5000; i++) {
      assert.equal(put(`n${String(i)}`), true);
      assert.equal(isFound(`n${String(i)}`), true);
    }
    assert.equal(isFound("n0"), false);
    assert.equal(table.isFull, true);
    // A reader that stays in its batch: its segment is not taken from it.
    Atomics.store(new Int32Array(memory.control), CONTROL.readers, 1);
    let taken = 0;
    while (put(`m${String(taken)}`)) taken += 1;
    assert.ok(taken < 200, `${String(taken)} records went in`);
    Atomics.store(new Int32Array(memory.control), CONTROL.readers, 2);
    assert.equal(put("again"), true);
  });

  it("are given for plain questions only: whatever opcode, flags, counts, class and options say", () => {
    const zone = new FastZone();
    zone.index.setNamespace("default", true);
    zone.put(service("a", { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    zone.put(service("b", { clusterIP: "None", clusterIPs: ["None"] }));
    zone.put(slice("b", [{ addresses: ["10.112.0.1"], hostname: "h1" }]));
    // Opcode and flags, the four counts, or what stands behind the question.
    const headerByte = fc.tuple(
      fc.integer({ min: 2, max: 11 }),
      fc.constantFrom(0, 1, 0x10, 0x20, 0x40, 0x80, 255),
    );
    const tail = fc.uint8Array({ maxLength: 30 });
    const opt = fc
      .array(fc.tuple(fc.nat(20), fc.uint8Array({ maxLength: 12 })), { maxLength: 3 })
      .map((options) => options.flatMap(([code, data]) => [0, code, 0, data.length, ...data]))
      .map((bytes) => [
        0,
        0,
        41,
        4,
        208,
        0,
        0,
        0,
        0,
        bytes.length >> 8,
        bytes.length & 255,
        ...bytes,
      ]);
    let hits = 0;
    let left = 0;
    fc.assert(
      fc.property(
        question,
        fc.array(headerByte, { maxLength: 2 }),
        fc.oneof(fc.constant([]), tail, opt),
        fc.nat(3),
        (plain, header, behind, rotation) => {
          if (parseQuery(plain).kind === "query") zone.compile(plain);
          const message = Uint8Array.from([...plain, ...behind]);
          // An OPT is counted, but for sometimes.
          if (behind.length > 10 && rotation > 0) message[11] = 1;
          for (const [at, value] of header) message[at] = value;
          const fast = zone.fast(message, rotation);
          if (fast === undefined) {
            left += 1;
            return;
          }
          hits += 1;
          assert.equal(parseQuery(message).kind, "query", hex(message));
          assert.ok(zone.allSlow(message).has(hex(fast)), `${hex(message)}: ${hex(fast)}`);
        },
      ),
      { numRuns: 2000 },
    );
    assert.ok(hits > 100 && left > 100, `${String(hits)} answered, ${String(left)} left alone`);
  });

  it("leave any other bytes alone", () => {
    let hits = 0;
    const zone = new FastZone();
    zone.put(service("a", { clusterIP: "10.96.0.1" }));
    const known = query("a.default.svc.cluster.local", TYPE.A, 1232);
    zone.compile(known);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 600 }),
          fc.tuple(fc.nat(known.length - 1), fc.nat(7), fc.nat(3)).map(([at, bit, fewer]) => {
            const changed = known.slice(0, known.length - Math.max(0, fewer - 2));
            changed[at] = (changed[at] ?? 0) ^ (1 << bit);
            return changed;
          }),
        ),
        (message) => {
          const fast = zone.fast(message, 1);
          if (fast === undefined) return;
          hits += 1;
          // What is answered is a question that the slow path takes for one, and answers alike.
          assert.equal(hex(fast), hex(zone.slow(message, 1)));
        },
      ),
      { numRuns: 3000 },
    );
    assert.ok(hits > 10, `only ${String(hits)} were answered`);
  });
});

function query(name: string, type: number, udpBytes: number): Uint8Array {
  const labels = name.split(".");
  assert.equal(formatDomainName(labels), `${name}.`);
  const edns = { udpBytes, dnssecOk: false, version: 0 };
  return encodeMessage(questionMessage({ name: labels, type, class: 1 }, { id: 7, edns }), 512);
}
