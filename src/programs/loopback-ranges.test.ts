import assert from "node:assert/strict";
import { it } from "node:test";
import { cidrsOverlap, parseCidr } from "../net/cidr.ts";
import { claimRanges, RangeCollisionError, rangesOfSlot } from "./loopback-ranges.ts";

const HOLDER = { pid: process.pid, dataDir: "/somewhere" };

it("rangesOfSlot() gives no two instances a common address", () => {
  const all = Array.from({ length: 16 }, (_, slot) => Object.values(rangesOfSlot(slot))).flat();
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) assert.ok(!cidrsOverlap(a, b), `${a} and ${b}`);
  }
});

it("claimRanges() gives instances side by side different ranges", async () => {
  const first = await claimRanges({}, HOLDER);
  const second = await claimRanges({}, HOLDER);
  assert.notEqual(first.ranges.serviceCidr, second.ranges.serviceCidr);
  assert.notEqual(first.ranges.podCidr, second.ranges.podCidr);
  await first.claim[Symbol.asyncDispose]();
  await second.claim[Symbol.asyncDispose]();
});

it("claimRanges() refuses a fixed range that another instance uses a part of, by name", async () => {
  const wide = parseCidr("127.200.0.0/16");
  const inside = parseCidr("127.200.32.0/24");
  assert.ok(wide !== undefined && inside !== undefined);
  const first = await claimRanges({ serviceCidr: wide }, HOLDER);
  await assert.rejects(claimRanges({ podCidr: inside }, HOLDER), (error) => {
    assert.ok(error instanceof RangeCollisionError);
    assert.match(
      error.message,
      /127\.200\.32\.0\/20 are in use by the instance with data dir \/somewhere/,
    );
    return true;
  });
  await first.claim[Symbol.asyncDispose]();
});

it("claimRanges() leaves out ranges in which Pods of a killed instance still listen", async () => {
  const first = await claimRanges({}, HOLDER);
  await first.claim[Symbol.asyncDispose]();
  const occupied = [{ dataDir: "/killed", ranges: first.ranges }];
  const second = await claimRanges({}, HOLDER, occupied);
  assert.notEqual(second.ranges.podCidr, first.ranges.podCidr);
  await second.claim[Symbol.asyncDispose]();
  await assert.rejects(
    claimRanges({ podCidr: first.ranges.podCidr }, HOLDER, occupied),
    /are in use by Pods that the killed instance with data dir \/killed left/,
  );
});

it("claimRanges() finds ranges for a kept data dir where no temporary instance looks first", async () => {
  const kept = await claimRanges({}, HOLDER, [], "last");
  await kept.claim[Symbol.asyncDispose]();
  const temporary = await claimRanges({}, HOLDER);
  const again = await claimRanges(kept.ranges, HOLDER, [], "last");
  assert.deepEqual(again.ranges, kept.ranges);
  await temporary.claim[Symbol.asyncDispose]();
  await again.claim[Symbol.asyncDispose]();
});
