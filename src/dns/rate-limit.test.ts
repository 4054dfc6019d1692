import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { ip } from "../../test/dns/fake-upstream.ts";
import { encodeSocketAddress } from "../kernel/socket-address.ts";
import { RateLimiter, createRateLimitMemory } from "./rate-limit.ts";

function limiterOf(perSecond: number, nowMs: () => number = () => 1_800_000_000_000): RateLimiter {
  return new RateLimiter(createRateLimitMemory(perSecond, 4711), nowMs);
}

it("RateLimiter sends so many answers a second to one network, and then truncates half and drops half", () => {
  let nowMs = 1_800_000_000_000;
  const limiter = limiterOf(3, () => nowMs);
  const verdicts = Array.from({ length: 7 }, (_, i) => limiter.judge(`192.0.2.${String(i)}`));
  assert.deepEqual(verdicts, ["send", "send", "send", "truncate", "drop", "truncate", "drop"]);
  assert.deepEqual(limiter.counts(), { truncated: 2, dropped: 2 });
  assert.equal(limiter.judge("192.0.3.1"), "send");
  nowMs += 1000;
  assert.equal(limiter.judge("192.0.2.1"), "send");
});

it("RateLimiter takes 56 bits of IPv6, and IPv4 in IPv6 form, for one source", () => {
  const limiter = limiterOf(1);
  assert.equal(limiter.judge("2001:db8:1:100::1"), "send");
  assert.equal(limiter.judge("2001:db8:1:1ff:2::1"), "truncate");
  assert.equal(limiter.judge("2001:db8:1:200::1"), "send");
  assert.equal(limiter.judge("192.0.2.1"), "send");
  assert.equal(limiter.judge("::ffff:192.0.2.2"), "truncate");
  // 192.0.2 and c000:02 are not the same.
  assert.equal(limiter.judge("c000:200::"), "send");
});

it("RateLimiter judges socket addresses as it does text, and counts with all that share its memory", () => {
  const memory = createRateLimitMemory(1, 4711);
  const [main, thread] = [0, 1].map(() => new RateLimiter(memory, () => 1_800_000_000_000));
  assert.ok(main && thread);
  for (const text of ["192.0.2.1", "2001:db8:1:100::1", "::ffff:198.51.100.1"]) {
    const address = encodeSocketAddress(ip(text), 53);
    // As in a batch, where one address is behind the other.
    const bytes = new Uint8Array(64);
    bytes.set(address, 32);
    assert.equal(main.judge(text), "send");
    assert.equal(thread.judgeSocketAddress(bytes, 32), "truncate");
    assert.equal(thread.judgeSocketAddress(bytes, 32), "drop");
  }
  assert.deepEqual(main.counts(), { truncated: 3, dropped: 3 });
  assert.equal(main.takeDroppedByThreads(), 3);
  assert.equal(main.takeDroppedByThreads(), 0);
});

it("RateLimiter gives no source more than its share, however many there are, and counts few exactly", () => {
  const networks = fc.array(fc.nat(500_000), { minLength: 1, maxLength: 2000 });
  fc.assert(
    fc.property(
      networks,
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      (asked, perSecond, isFew) => {
        const limiter = limiterOf(perSecond);
        const sent = new Map<number, number>();
        const counts = new Map<number, number>();
        for (const each of asked) {
          const network = isFew ? each % 50 : each;
          const [high, mid, low] = [network >> 16, (network >> 8) & 255, network & 255];
          const verdict = limiter.judge(`${String(10 + high)}.${String(mid)}.${String(low)}.1`);
          const count = (counts.get(network) ?? 0) + 1;
          counts.set(network, count);
          if (verdict === "send") sent.set(network, (sent.get(network) ?? 0) + 1);
          if (isFew) assert.equal(verdict === "send", count <= perSecond);
        }
        for (const count of sent.values()) assert.ok(count <= perSecond);
      },
    ),
    { numRuns: 50 },
  );
});

it("RateLimiter goes on holding back a flood while a million other sources ask", () => {
  const limiter = limiterOf(50);
  let sent = 0;
  for (let i = 0; i < 1_000_000; i++) {
    const address = `${String(20 + (i >> 16))}.${String((i >> 8) & 255)}.${String(i & 255)}.1`;
    limiter.judge(address);
    if (i % 100 === 0 && limiter.judge("192.0.2.1") === "send") sent += 1;
  }
  assert.ok(sent <= 50, String(sent));
});
