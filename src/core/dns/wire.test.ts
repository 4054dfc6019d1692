import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ipFromBytes } from "../../net/address.ts";
import { decodeMessage, parseQuery } from "./decode.ts";
import {
  foldName,
  formatDomainName,
  parseDomainName,
  readName,
  sameName,
  wireLength,
} from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { encodeMessage } from "./encode.ts";
import { RCODE, TYPE } from "./message.ts";
import type { Message, RecordData, ResourceRecord } from "./message.ts";
import { parseReverseName } from "./reverse-name.ts";

// Plain objects, as decoding makes them: deepEqual compares prototypes.
function rec<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const label = fc
  .uint8Array({ minLength: 1, maxLength: 63 })
  .map((bytes) => String.fromCharCode(...bytes));
// Few letters make equal tails likely, which is what compression lives on.
const shortLabel = fc.constantFrom("a", "b", "A", "svc", "local", ".", "\0");
const name: fc.Arbitrary<DomainName> = fc
  .oneof(fc.array(shortLabel, { maxLength: 8 }), fc.array(label, { maxLength: 4 }))
  .filter((labels) => wireLength(labels) <= 255);
const uint16 = fc.nat(0xffff);
const uint32 = fc.nat(0xffff_ffff);

const data: fc.Arbitrary<RecordData> = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ({
    kind: "A" as const,
    address: ipFromBytes(bytes),
  })),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ({
    kind: "AAAA" as const,
    address: ipFromBytes(bytes),
  })),
  rec({
    kind: fc.constantFrom("CNAME" as const, "NS" as const, "PTR" as const),
    target: name,
  }),
  rec({
    kind: fc.constant("SRV" as const),
    priority: uint16,
    weight: uint16,
    port: uint16,
    target: name,
  }),
  rec({
    kind: fc.constant("TXT" as const),
    strings: fc.array(
      fc.uint8Array({ maxLength: 255 }).map((bytes) => String.fromCharCode(...bytes)),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  rec({
    kind: fc.constant("SOA" as const),
    mname: name,
    rname: name,
    serial: uint32,
    refreshSeconds: uint32,
    retrySeconds: uint32,
    expireSeconds: uint32,
    minimumSeconds: uint32,
  }),
  // MX, which has a name that senders compress, and a type that nobody knows.
  name.map((exchange) => ({
    kind: "other" as const,
    type: 15,
    parts: [Uint8Array.of(0, 10), exchange],
  })),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => ({
    kind: "other" as const,
    type: 65_280,
    parts: [bytes],
  })),
);
const record: fc.Arbitrary<ResourceRecord> = rec<ResourceRecord>({
  name,
  ttlSeconds: fc.nat(0x7fff_ffff),
  data,
});

function messageOf(parts: Partial<Message>): Message {
  return {
    id: 1,
    isResponse: true,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    question: undefined,
    answers: [],
    authority: [],
    additional: [],
    edns: undefined,
    ...parts,
  };
}

const message: fc.Arbitrary<Message> = rec<Message>({
  id: uint16,
  isResponse: fc.boolean(),
  opcode: fc.nat(15),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
  rcode: fc.nat(15),
  question: fc.option(rec({ name, type: uint16, class: uint16 }), { nil: undefined }),
  answers: fc.array(record, { maxLength: 5 }),
  authority: fc.array(record, { maxLength: 2 }),
  additional: fc.array(record, { maxLength: 3 }),
  edns: fc.option(rec({ udpBytes: uint16, dnssecOk: fc.boolean(), version: fc.constant(0) }), {
    nil: undefined,
  }),
}).chain((base) =>
  // The upper bits of the code travel in the OPT record only.
  base.edns === undefined ? fc.constant(base) : fc.nat(0xfff).map((rcode) => ({ ...base, rcode })),
);

function query(...more: number[]): Uint8Array {
  // id 7, RD, one question: a.b. A IN
  return Uint8Array.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 1, 98, 0, 0, 1, 0, 1, ...more);
}

function withCounts(bytes: Uint8Array, offset: number, count: number): Uint8Array {
  const copy = bytes.slice();
  copy[offset + 1] = count;
  return copy;
}

describe("domain names", () => {
  it("formatDomainName() and parseDomainName() are inverses, whatever bytes the labels hold", () => {
    fc.assert(
      fc.property(name, (labels) => {
        assert.deepEqual(parseDomainName(formatDomainName(labels)), labels);
      }),
    );
  });

  it("parseDomainName() refuses what is no name", () => {
    for (const text of ["", "a..b", ".a", "a\\", `${"x".repeat(64)}.b`, "\\999.a", "ä\u0100"]) {
      assert.equal(parseDomainName(text), undefined, text);
    }
    assert.equal(parseDomainName(Array.from({ length: 64 }, () => "abc").join(".")), undefined);
    assert.deepEqual(parseDomainName("."), []);
    assert.deepEqual(parseDomainName("a\\.b.c"), ["a.b", "c"]);
  });

  it("DNS-016: foldName() makes ASCII letters small and leaves other bytes alone", () => {
    assert.deepEqual(foldName(["WeB", "\u00c0"]), ["web", "\u00c0"]);
    assert.ok(sameName(["WEB", "a"], ["web", "A"]));
    assert.ok(!sameName(["web"], ["web", "a"]));
  });

  it("parseReverseName() finds the address that the labels spell backwards", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        const labels = [...Array.from(bytes, String).toReversed(), "in-addr", "arpa"];
        assert.equal(parseReverseName(labels), ipFromBytes(bytes));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
        const labels = [...digits.split("").toReversed(), "ip6", "arpa"];
        assert.equal(parseReverseName(labels), ipFromBytes(bytes));
      }),
    );
    assert.equal(parseReverseName(["256", "0", "0", "1", "in-addr", "arpa"]), undefined);
  });
});

describe("the codec", () => {
  it("decodeMessage() gives back what encodeMessage() was given", () => {
    fc.assert(
      fc.property(message, (original) => {
        assert.deepEqual(decodeMessage(encodeMessage(original, 65_535)), original);
      }),
      { numRuns: 500 },
    );
  });

  it("DNS-018: a message that is cut to size keeps whole records from the front, and says TC", () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 512, max: 1232 }), (original, limit) => {
        const bytes = encodeMessage(original, limit);
        assert.ok(bytes.length <= limit);
        const cut = decodeMessage(bytes);
        assert.ok(cut);
        for (const section of ["answers", "authority", "additional"] as const) {
          assert.deepEqual(cut[section], original[section].slice(0, cut[section].length));
        }
        const isCut =
          cut.answers.length < original.answers.length ||
          cut.authority.length < original.authority.length;
        assert.equal(cut.truncated, original.truncated || isCut);
        assert.deepEqual(cut.edns, original.edns);
      }),
      { numRuns: 500 },
    );
  });

  it("names that end alike are written once", () => {
    const owner = ["web", "default", "svc", "cluster", "local"];
    const plain = messageOf({ question: { name: owner, type: TYPE.A, class: 1 } });
    const one = encodeMessage(plain, 512).length;
    const address = ipFromBytes(Uint8Array.of(10, 0, 0, 1));
    const answers = [{ name: owner, ttlSeconds: 5, data: { kind: "A" as const, address } }];
    assert.equal(encodeMessage({ ...plain, answers }, 512).length, one + 16);
  });

  it("thousands of names with the same end, beyond what a pointer reaches, are read as they were written", () => {
    const target = (i: number): DomainName => [`pod-${String(i)}`, "web", "default", "svc"];
    const answers = Array.from({ length: 2000 }, (_, i) => ({
      name: target(i % 1000),
      ttlSeconds: 5,
      data: { kind: "PTR" as const, target: target(i) },
    }));
    const bytes = encodeMessage({ ...messageOf({}), answers }, 65_535);
    assert.deepEqual(decodeMessage(bytes)?.answers, answers);
    // Each name has its first label of at most 9 bytes and a pointer.
    assert.ok(bytes.length < 2000 * (2 * (9 + 2) + 10) + 100, `${String(bytes.length)} bytes`);
  });

  it("readName() refuses pointers that lead forwards or in a circle", () => {
    assert.equal(readName(Uint8Array.of(0xc0, 0), 0, "follow"), undefined);
    assert.equal(readName(Uint8Array.of(0xc0, 2, 0), 0, "follow"), undefined);
    assert.equal(readName(Uint8Array.of(1, 97, 0xc0, 0), 0, "follow"), undefined);
    assert.deepEqual(readName(Uint8Array.of(1, 97, 0, 0xc0, 0), 3, "follow"), {
      name: ["a"],
      end: 5,
    });
    assert.equal(readName(Uint8Array.of(1, 97, 0, 0xc0, 0), 3, "refuse"), undefined);
  });

  it("decodeMessage() reads names in the data of MX that were compressed", () => {
    const mx = [0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 9, 0, 4, 0, 10, 0xc0, 14];
    const bytes = query(...mx)
      .with(2, 0x81)
      .with(7, 1);
    assert.deepEqual(decodeMessage(bytes)?.answers, [
      {
        name: ["a", "b"],
        ttlSeconds: 9,
        data: { kind: "other", type: 15, parts: [Uint8Array.of(0, 10), ["b"]] },
      },
    ]);
  });
});

describe("parseQuery()", () => {
  const opt = (version: number, ...options: number[]): number[] =>
    [0, 0, 41, 0x10, 0, 0, version, 0x80, 0, 0, options.length].concat(options);
  const withOpt = (bytes: Uint8Array): Uint8Array => withCounts(bytes, 10, 1);

  it("reads a plain question", () => {
    assert.deepEqual(parseQuery(query()), {
      kind: "query",
      id: 7,
      question: { name: ["a", "b"], type: 1, class: 1 },
      recursionDesired: true,
      authenticData: false,
      checkingDisabled: false,
      edns: undefined,
    });
  });

  it("reads EDNS and skips options that it does not know", () => {
    const parsed = parseQuery(withOpt(query(...opt(0, 0, 10, 0, 2, 1, 2))));
    assert.ok(parsed.kind === "query");
    assert.deepEqual(parsed.edns, { udpBytes: 4096, dnssecOk: true, version: 0 });
  });

  const refused: readonly (readonly [what: string, bytes: Uint8Array, rcode: number])[] = [
    ["another opcode", query().with(2, 0x29), RCODE.NOTIMP],
    ["no question", withCounts(query(), 4, 0), RCODE.FORMERR],
    ["two questions", withCounts(query(), 4, 2), RCODE.FORMERR],
    ["an answer", withCounts(query(), 6, 1), RCODE.FORMERR],
    ["a question cut short", query().slice(0, -1), RCODE.FORMERR],
    ["a pointer in the question", query().with(12, 0xc0), RCODE.FORMERR],
    ["an unknown kind of label", query().with(12, 0x41), RCODE.FORMERR],
    ["records that are not there", withCounts(query(), 10, 1), RCODE.FORMERR],
    ["an OPT option cut short", withOpt(query(...opt(0, 0, 10, 0, 9))), RCODE.FORMERR],
    ["two OPT records", withCounts(query(...opt(0), ...opt(0)), 10, 2), RCODE.FORMERR],
    ["EDNS of the future", withOpt(query(...opt(1))), RCODE.BADVERS],
  ];
  for (const [what, bytes, rcode] of refused) {
    it(`refuses ${what} with code ${String(rcode)}`, () => {
      const parsed = parseQuery(bytes);
      assert.ok(parsed.kind === "refuse");
      assert.deepEqual([parsed.id, parsed.rcode], [7, rcode]);
    });
  }

  it("ignores answers, and what is too short for a header", () => {
    assert.deepEqual(parseQuery(query().with(2, 0x81)), { kind: "ignore" });
    assert.deepEqual(parseQuery(query().slice(0, 11)), { kind: "ignore" });
  });

  it("never throws and never reads a query out of garbage, nor does decodeMessage()", () => {
    const garbled = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 10 }), fc.nat(700))
      .map(([original, edits, length]) => {
        const bytes = encodeMessage(original, 65_535).slice(0, length + 12);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        return bytes;
      });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 600 }), garbled);
    fc.assert(
      fc.property(bytes, (hostile) => {
        const parsed = parseQuery(hostile);
        const decoded = decodeMessage(hostile);
        assert.ok(["query", "refuse", "ignore"].includes(parsed.kind));
        // Whatever was read can be written again, and reads the same.
        if (decoded === undefined) return;
        const again = encodeMessage({ ...decoded, truncated: false }, 10_000_000);
        assert.deepEqual(decodeMessage(again), { ...decoded, truncated: false });
      }),
      { numRuns: 5000 },
    );
  });
});
