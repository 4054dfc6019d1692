import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Lease, LeaseSpec } from "../../api/coordination/lease.ts";
import { planClaim, releasedSpec } from "./claim.ts";
import type { Claim, ClaimObserved, Sighting } from "./claim.ts";

const NOW = "2025-01-01T00:00:00.000000Z";
const LATER = "2025-01-01T00:10:00.000000Z";

function lease(spec: LeaseSpec): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "l", namespace: "kube-system" },
    spec,
  };
}

function claim(observed: Partial<ClaimObserved>): Claim {
  const base = {
    lease: undefined,
    last: undefined,
    identity: "a",
    durationMs: 15_000,
    nowMs: 0,
    now: NOW,
  };
  return planClaim({ ...base, ...observed });
}

const theirs = lease({
  holderIdentity: "b",
  leaseDurationSeconds: 20,
  acquireTime: NOW,
  renewTime: NOW,
  leaseTransitions: 3,
});

describe("planClaim()", () => {
  it("takes a Lease that is not there, with client-go's record", () => {
    const taken = claim({});
    assert.deepEqual(taken.kind === "take" && taken.spec, {
      holderIdentity: "a",
      leaseDurationSeconds: 15,
      acquireTime: NOW,
      renewTime: NOW,
      leaseTransitions: 0,
    });
  });

  it("leaves a held one alone for its holder's duration since it was first seen, whatever its times say", () => {
    const first = claim({ lease: theirs, nowMs: 1_000, now: LATER });
    assert.equal(first.kind, "wait");
    const { sighting } = first;
    assert.equal(claim({ lease: theirs, last: sighting, nowMs: 20_999 }).kind, "wait");
    const taken = claim({ lease: theirs, last: sighting, nowMs: 21_000, now: LATER });
    assert.deepEqual(taken.kind === "take" && taken.spec, {
      holderIdentity: "a",
      leaseDurationSeconds: 15,
      acquireTime: LATER,
      renewTime: LATER,
      leaseTransitions: 4,
    });
  });

  it("takes one that was released at once, and renews its own", () => {
    const released = lease(releasedSpec(theirs.spec, NOW));
    const taken = claim({ lease: released });
    assert.equal(taken.kind === "take" && taken.spec.leaseTransitions, 4);
    const own = lease({ ...theirs.spec, holderIdentity: "a" });
    const renewed = claim({ lease: own, now: LATER });
    assert.deepEqual(renewed.kind === "take" && renewed.spec, {
      ...own.spec,
      leaseDurationSeconds: 15,
      renewTime: LATER,
    });
  });

  it("never gives a Lease to two at once, however their clocks are set and their tries fall", () => {
    const step = fc.record({
      who: fc.constantFrom("a", "b", "c"),
      ms: fc.integer({ min: 0, max: 9_000 }),
    });
    const offset = fc.integer({ min: -1e6, max: 1e6 });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.tuple(offset, offset, offset),
        (steps, offsets) => {
          const durationMs = 15_000;
          let trueMs = 0;
          let current: Lease | undefined;
          const last = new Map<string, Sighting>();
          /** Until when the holder may believe that it leads: from the start of its last write. */
          const until = new Map<string, number>();
          for (const { who, ms } of steps) {
            trueMs += ms;
            const skew = offsets["abc".indexOf(who)] ?? 0;
            const now = `at ${String(trueMs + skew)}`;
            const nowMs = trueMs + skew;
            const plan = claim({
              lease: current,
              last: last.get(who),
              identity: who,
              durationMs,
              nowMs,
              now,
            });
            last.set(who, plan.sighting);
            if (plan.kind === "wait") continue;
            current = lease(plan.spec);
            until.set(who, trueMs + durationMs);
            const leading = [...until].filter(([, ms]) => ms > trueMs).map(([name]) => name);
            assert.deepEqual(leading, [who]);
          }
        },
      ),
    );
  });
});
