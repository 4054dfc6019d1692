import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { a, domain } from "../../test/dns/fake-upstream.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message, ResourceRecord } from "../core/dns/message.ts";
import { AnswerCache, cacheKeyOf } from "./answer-cache.ts";

const blank = decodeMessage(Uint8Array.from({ length: 12 }, (_, i) => (i === 2 ? 0x80 : 0)));

function message(parts: Partial<Message>): Message {
  assert.ok(blank);
  return { ...blank, question: { name: domain("x.test"), type: 1, class: 1 }, ...parts };
}

function soa(ttlSeconds: number, minimumSeconds: number): ResourceRecord {
  const times = { serial: 1, refreshSeconds: 1, retrySeconds: 1, expireSeconds: 1, minimumSeconds };
  const data = { kind: "SOA" as const, mname: domain("m.test"), rname: domain("r.test"), ...times };
  return { name: domain("test"), ttlSeconds, data };
}

describe("AnswerCache", () => {
  const cases: readonly (readonly [what: string, parts: Partial<Message>, seconds: number])[] = [
    [
      "its time to live",
      { answers: [a("x.test", "192.0.2.1", 7), a("x.test", "192.0.2.2", 9)] },
      7,
    ],
    ["30 seconds at most", { answers: [a("x.test", "192.0.2.1", 3600)] }, 30],
    ["not at all when it says 0", { answers: [a("x.test", "192.0.2.1", 0)] }, 0],
    ["RFC 2308: the SOA's minimum", { rcode: RCODE.NXDOMAIN, authority: [soa(20, 5)] }, 5],
    ["RFC 2308: the SOA's own time", { authority: [soa(4, 20)] }, 4],
    ["RFC 2308: not when there is no SOA", { rcode: RCODE.NXDOMAIN }, 0],
    ["RFC 9520: a second for a failure", { rcode: RCODE.SERVFAIL }, 1],
  ];
  for (const [what, parts, seconds] of cases) {
    it(`keeps an answer for ${what}`, () => {
      const cache = new AnswerCache();
      cache.put("k", { message: message(parts), bytes: 100 }, 0);
      const isKept = [seconds * 1000 - 1, seconds * 1000].map(
        (nowMs) => cache.get("k", nowMs) !== undefined,
      );
      assert.deepEqual(isKept, [seconds > 0, false]);
    });
  }

  it("forgets what was not asked for the longest when it is full, and takes no giants", () => {
    const cache = new AnswerCache();
    const answer = { message: message({ answers: [a("x.test", "192.0.2.1")] }), bytes: 100 };
    for (let i = 0; i < 10_000; i++) cache.put(String(i), answer, 0);
    assert.ok(cache.get("0", 0));
    cache.put("one more", answer, 0);
    assert.equal(cache.size, 10_000);
    assert.ok(cache.get("0", 0));
    assert.equal(cache.get("1", 0), undefined);
    cache.put("giant", { ...answer, bytes: 5000 }, 0);
    assert.equal(cache.get("giant", 0), undefined);
  });

  it("cacheKeyOf() tells apart what has different answers, and nothing else", () => {
    const flags = { dnssecOk: false, authenticData: false, checkingDisabled: false };
    const base = { name: domain("x.test"), type: 1, class: 1, ...flags };
    const same = cacheKeyOf({ ...base, name: domain("X.Test") });
    assert.equal(same, cacheKeyOf(base));
    const others = [
      { ...base, name: domain("x\\.test") },
      { ...base, type: 28 },
      { ...base, dnssecOk: true },
      { ...base, checkingDisabled: true },
    ].map(cacheKeyOf);
    assert.equal(new Set([same, ...others]).size, 5);
  });
});
