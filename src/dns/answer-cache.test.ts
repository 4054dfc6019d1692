import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { a, domain } from "../../test/dns/fake-upstream.ts";
import type { CacheConfig } from "../core/dns/corefile/cache-directive.ts";
import { HOST_CACHE } from "../core/dns/corefile/cache-directive.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message, ResourceRecord } from "../core/dns/message.ts";
import { AnswerCache, cacheKeyOf } from "./answer-cache.ts";

/** As `up` sets it, with nothing given after its time. */
const config: CacheConfig = { ...HOST_CACHE, serveStale: undefined };
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
      const cache = new AnswerCache(config);
      cache.put("k", { message: message(parts), bytes: 100 }, 0);
      const isKept = [seconds * 1000 - 1, seconds * 1000].map(
        (nowMs) => cache.get("k", nowMs) !== undefined,
      );
      assert.deepEqual(isKept, [seconds > 0, false]);
    });
  }

  it("forgets what was not asked for the longest when it is full, and takes no giants", () => {
    const cache = new AnswerCache(config);
    const answer = { message: message({ answers: [a("x.test", "192.0.2.1")] }), bytes: 100 };
    for (let i = 0; i < 10_000; i++) cache.put(String(i), answer, 0);
    assert.ok(cache.get("0", 0));
    cache.put("one more", answer, 0);
    assert.equal(cache.sizeOf("success"), 10_000);
    assert.ok(cache.get("0", 0));
    assert.equal(cache.get("1", 0), undefined);
    cache.put("giant", { ...answer, bytes: 5000 }, 0);
    assert.equal(cache.get("giant", 0), undefined);
  });

  it("holds fewer answers when they are long, however they come and go", () => {
    const cache = new AnswerCache({
      ...config,
      success: { capacity: 100, maxTtlSeconds: 30, minTtlSeconds: 0 },
    });
    const long = { message: message({ answers: [a("x.test", "192.0.2.1")] }), bytes: 4096 };
    for (let i = 0; i < 50; i++) cache.put(String(i), long, 0);
    // 100 answers of 256 bytes would be as many bytes.
    assert.equal(cache.sizeOf("success"), 6);
    assert.ok(cache.get("49", 0));
    assert.equal(cache.get("43", 0), undefined);
    // Over, replaced, and turned into the other kind: their bytes are free again.
    for (let i = 44; i < 50; i++) assert.equal(cache.get(String(i), 40_000), undefined);
    for (let i = 0; i < 6; i++) cache.put("same", long, 50_000);
    const denied = { message: message({ authority: [soa(20, 20)] }), bytes: 100 };
    cache.put("same", denied, 50_000);
    for (let i = 0; i < 100; i++) cache.put(`short ${String(i)}`, { ...long, bytes: 256 }, 50_000);
    assert.equal(cache.sizeOf("success"), 100);
    assert.equal(cache.sizeOf("denial"), 1);
  });

  const ten = { message: message({ answers: [a("x.test", "192.0.2.1", 10)] }), bytes: 100 };

  it("says once that an answer asked for often is to be asked for again near its end", () => {
    const cache = new AnswerCache({
      ...config,
      prefetch: { amount: 2, gapMs: 5000, fraction: 0.2 },
    });
    cache.put("k", ten, 0);
    const due = [1000, 5000, 8500, 9000].map((nowMs) => cache.get("k", nowMs)?.isDue);
    assert.deepEqual(due, [false, false, true, false]);
    cache.put("k", ten, 0);
    assert.deepEqual(
      [1000, 9000].map((nowMs) => cache.get("k", nowMs)?.isDue),
      [false, false],
    );
  });

  it("RFC 8767: keeps an answer that is over, says so, and lets nobody ask again at once", () => {
    const serveStale = { maxAgeMs: 60_000, refresh: "immediate" } as const;
    const cache = new AnswerCache({ ...config, serveStale });
    cache.put("k", ten, 0);
    const hit = cache.get("k", 20_000);
    assert.deepEqual([hit?.isStale, hit?.isDue], [true, true]);
    assert.deepEqual(
      hit?.message.answers.map(({ ttlSeconds }) => ttlSeconds),
      [30],
    );
    cache.renewalFailed("k", 20_000);
    assert.equal(cache.get("k", 21_000)?.isDue, false);
    assert.equal(cache.get("k", 25_000)?.isDue, true);
    assert.equal(cache.get("k", 70_000), undefined);
  });

  it("keeps nothing for zones where that is switched off, and holds times within their bounds", () => {
    const off = new AnswerCache({ ...config, noSuccess: [domain("test")] });
    off.put("k", ten, 0);
    assert.equal(off.get("k", 0), undefined);
    const other = new AnswerCache({ ...config, zones: [domain("example")] });
    other.put("k", ten, 0);
    assert.equal(other.get("k", 0), undefined);
    const floor = { capacity: 10, maxTtlSeconds: 100, minTtlSeconds: 20 };
    const longer = new AnswerCache({ ...config, success: floor });
    longer.put("k", ten, 0);
    assert.ok(longer.get("k", 19_000));
    const kept = new AnswerCache({ ...config, keepTtl: true });
    kept.put("k", ten, 0);
    assert.equal(kept.get("k", 5000)?.message.answers[0]?.ttlSeconds, 10);
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
