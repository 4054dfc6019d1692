import type { Lease, LeaseSpec } from "../../api/coordination/lease.ts";

/** What a contender has seen of a Lease, and when, by its own clock: clocks of machines differ. */
export interface Sighting {
  /** What the Lease says, compared for being the same only. */
  readonly record: string;
  /** Milliseconds when it was first seen to say that. */
  readonly seenMs: number;
}

export interface ClaimObserved {
  /** undefined: there is none. */
  readonly lease: Lease | undefined;
  readonly last: Sighting | undefined;
  readonly identity: string;
  readonly durationMs: number;
  /** Monotonic milliseconds of this machine. */
  readonly nowMs: number;
  /** The wall clock as MicroTime, for the record only. */
  readonly now: string;
}

export type Claim =
  /** Write this, and if that succeeds it is ours until `nowMs + durationMs`. */
  | { readonly kind: "take"; readonly spec: LeaseSpec; readonly sighting: Sighting }
  /** Another holds it. */
  | { readonly kind: "wait"; readonly holder: string; readonly sighting: Sighting };

/**
 * Whether to take a Lease or leave it to who holds it: it is free when nobody is named, and when its record has
 * not changed for its duration since it was first seen. Source: client-go `leaderelection.go:tryAcquireOrRenew`.
 */
export function planClaim(observed: ClaimObserved): Claim {
  const { lease, last, identity, durationMs, nowMs, now } = observed;
  const record = JSON.stringify([lease?.metadata.uid, lease?.spec]);
  const sighting = last?.record === record ? last : { record, seenMs: nowMs };
  const holder = lease?.spec.holderIdentity ?? "";
  // The holder's own word for how long it may be silent, so that contenders may be set differently.
  const theirsMs = (lease?.spec.leaseDurationSeconds ?? 0) * 1000;
  const isHeld = holder !== "" && holder !== identity && nowMs < sighting.seenMs + theirsMs;
  if (isHeld) return { kind: "wait", holder, sighting };
  const isOurs = holder === identity;
  const transitions = lease?.spec.leaseTransitions ?? 0;
  const spec: LeaseSpec = {
    ...lease?.spec,
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime: isOurs ? (lease?.spec.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: isOurs || lease === undefined ? transitions : transitions + 1,
  };
  return { kind: "take", spec, sighting };
}

/** What the holder leaves behind so that nobody has to wait: a Lease that names nobody. */
export function releasedSpec(spec: LeaseSpec, now: string): LeaseSpec {
  return {
    ...spec,
    holderIdentity: "",
    leaseDurationSeconds: 1,
    acquireTime: now,
    renewTime: now,
  };
}
