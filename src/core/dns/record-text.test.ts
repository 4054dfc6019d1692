import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { RecordData, ResourceRecord } from "./message.ts";
import { parseRecord } from "./record-text.ts";
import { formatRecord } from "./zone-text.ts";

const name = fc.array(fc.stringMatching(/^[-a-z0-9_ ."\\]{1,10}$/), { maxLength: 4 });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
});
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((each) => {
  const parsed = parseIpAddress(each) ?? parseIpAddress("::1");
  assert.ok(parsed);
  return parsed;
});
const data: fc.Arbitrary<RecordData> = fc.oneof(
  address.map(
    (each): RecordData => ({
      kind: ipFamilyOf(each) === "IPv4" ? "A" : "AAAA",
      address: each,
    }),
  ),
  fc
    .tuple(fc.constantFrom("CNAME" as const, "NS" as const, "PTR" as const), name)
    .map(([kind, target]): RecordData => ({ kind, target })),
  fc.tuple(uint16, uint16, uint16, name).map(
    ([priority, weight, port, target]): RecordData => ({
      kind: "SRV",
      priority,
      weight,
      port,
      target,
    }),
  ),
  fc
    .array(text, { minLength: 1, maxLength: 3 })
    .map((strings): RecordData => ({ kind: "TXT", strings })),
  fc.tuple(name, name, uint32, uint32, uint32, uint32, uint32).map(
    ([
      mname,
      rname,
      serial,
      refreshSeconds,
      retrySeconds,
      expireSeconds,
      minimumSeconds,
    ]): RecordData => ({
      kind: "SOA",
      mname,
      rname,
      serial,
      refreshSeconds,
      retrySeconds,
      expireSeconds,
      minimumSeconds,
    }),
  ),
);

describe("parseRecord()", () => {
  it("reads what formatRecord() writes", () => {
    const record = fc.tuple(name, fc.integer({ min: 0, max: 0x7fff_ffff }), data);
    fc.assert(
      fc.property(record, ([owner, ttlSeconds, content]) => {
        const written: ResourceRecord = { name: owner, ttlSeconds, data: content };
        assert.deepEqual(parseRecord(formatRecord(written)), written);
      }),
    );
  });

  it("takes time to live and class in any order, or none", () => {
    for (const [line, ttl] of [
      ["a.example. 60 IN A 192.0.2.1", 60],
      ["a.example. in 60 a 192.0.2.1", 60],
      ["a.example. A 192.0.2.1", 3600],
      ["a.example. 1h30m IN A 192.0.2.1", 5400],
      ["a.example. (1W\n IN A ; comment\n 192.0.2.1)", 604_800],
    ] as const)
      assert.equal(parseRecord(line)?.ttlSeconds, ttl, line);
    assert.equal(
      formatRecord(parseRecord("a. 1 IN MX 10 b.") ?? assert.fail()),
      "a. 1 IN MX 000a b.",
    );
  });

  for (const line of [
    "",
    "a.example.",
    "a.example. 60 IN A",
    "a.example. 60 IN A fd00::1",
    "a.example. 60 IN A 192.0.2.1 192.0.2.2",
    "a.example. 60 XX TXT x",
    "a.example. 60 IN TXT (x",
    "a.example. 60 IN TXT x)",
    "a.example. 1y IN A 192.0.2.1",
    "a.example. 60 IN SRV 0 0 70000 b.",
    'a.example. 60 IN TXT "x',
    "a..example. 60 IN A 192.0.2.1",
    "a.example. 99999999999 IN A 192.0.2.1",
    "a.example. 60 IN LOC 1 2 3",
  ]) {
    it(`says that ${JSON.stringify(line)} is no record`, () => {
      assert.equal(parseRecord(line), undefined);
    });
  }
});
