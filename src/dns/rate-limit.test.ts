import assert from "node:assert/strict";
import { it } from "node:test";
import { RateLimiter } from "./rate-limit.ts";

it("RateLimiter sends so many answers a second to one network, and then truncates half and drops half", () => {
  let nowMs = 0;
  const limiter = new RateLimiter(3, () => nowMs);
  const verdicts = Array.from({ length: 7 }, (_, i) => limiter.judge(`192.0.2.${String(i)}`));
  assert.deepEqual(verdicts, ["send", "send", "send", "truncate", "drop", "truncate", "drop"]);
  assert.equal(limiter.judge("192.0.3.1"), "send");
  nowMs = 1000;
  assert.equal(limiter.judge("192.0.2.1"), "send");
});

it("RateLimiter takes 56 bits of IPv6, and IPv4 in IPv6 form, for one source", () => {
  const limiter = new RateLimiter(1, () => 0);
  assert.equal(limiter.judge("2001:db8:1:100::1"), "send");
  assert.equal(limiter.judge("2001:db8:1:1ff:2::1"), "truncate");
  assert.equal(limiter.judge("2001:db8:1:200::1"), "send");
  assert.equal(limiter.judge("192.0.2.1"), "send");
  assert.equal(limiter.judge("::ffff:192.0.2.2"), "truncate");
});
