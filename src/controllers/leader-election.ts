import { leaseKind } from "../api/coordination/lease.kind.ts";
import type { Lease } from "../api/coordination/lease.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatMicroTime } from "../api/machinery/time.ts";
import { withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import { planClaim, releasedSpec } from "../core/leases/claim.ts";
import type { Sighting } from "../core/leases/claim.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";

export interface LeaderElectionDeps {
  readonly client: Pick<ApiClient, "get" | "create" | "update">;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds, for the record only; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** In [0, 1), for jitter; default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export interface LeaderElectionOptions {
  /** The Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Of this contender; no two may have the same. */
  readonly identity: string;
  /** How long others wait for a holder that is silent; default 15 s. */
  readonly leaseMs?: number | undefined;
  /** A holder that has not renewed it for so long gives up by itself; less than `leaseMs`; default 10 s. */
  readonly renewMs?: number | undefined;
  /** Between two tries; default 2 s, and up to a fifth more. */
  readonly retryMs?: number | undefined;
  /** Begins the work of the leader; disposed when the Lease is lost or the election ends. */
  lead(): AsyncDisposable;
  /** The Lease was lost while leading; the election goes on. */
  readonly lost?: (() => void) | undefined;
}

/** client-go's defaults, as kube-controller-manager has them. */
const LEASE_MS = 15_000;
const RENEW_MS = 10_000;
const RETRY_MS = 2_000;
const JITTER = 0.2;
/** What the release at the end may take. */
const RELEASE_MS = 2_000;

/**
 * Lets one of several processes lead: who holds the Lease, and renews it before others may take it. Upholds
 * client-go's rules and record, so that it may contend with programs in Go, and kubectl shows the holder.
 * Clocks of machines may differ, rates may not by more than `leaseMs / renewMs`. Disposal ends the work first,
 * and then gives the Lease back, so that another need not wait.
 */
export function startLeaderElection(
  deps: LeaderElectionDeps,
  options: LeaderElectionOptions,
): AsyncDisposable {
  const { client, now = Date.now, random = Math.random } = deps;
  const { namespace, name, identity } = options;
  const { leaseMs = LEASE_MS, renewMs = RENEW_MS, retryMs = RETRY_MS } = options;
  if (renewMs >= leaseMs) {
    throw new Error(
      `leader election ${name}: renewMs ${String(renewMs)} must be less than leaseMs ${String(leaseMs)}`,
    );
  }
  const ref = { namespace, name };
  const log = deps.log.with({ lease: `${namespace}/${name}`, identity });
  const status = (deps.metrics ?? new Metrics())
    .gauge("leader_election_master_status", "1 in the process that holds the Lease.", ["name"])
    .with({ name });
  const ended = new AbortController();
  let last: Sighting | undefined;
  let held: Lease | undefined;
  let knownHolder = "";
  let isLeading = false;

  const time = (): string => {
    const ms = now();
    return formatMicroTime({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });
  };

  const read = async (signal: AbortSignal): Promise<Lease | undefined> => {
    try {
      return await client.get(leaseKind, ref, { signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      return undefined;
    }
  };

  /** One try to have the Lease, or to keep it. */
  const attempt = async (signal: AbortSignal): Promise<boolean> => {
    const lease = held ?? (await read(signal));
    const claim = planClaim({
      lease,
      last,
      identity,
      durationMs: leaseMs,
      nowMs: performance.now(),
      now: time(),
    });
    last = claim.sighting;
    if (claim.kind === "wait") {
      if (claim.holder !== knownHolder) log.info("another leads", { holder: claim.holder });
      knownHolder = claim.holder;
      return false;
    }
    const { spec } = claim;
    try {
      // The version makes sure that of two who take it one is refused.
      held =
        lease === undefined
          ? await client.create(leaseKind, { metadata: ref, spec }, { signal })
          : await client.update(leaseKind, { ...lease, spec }, { signal });
      return true;
    } catch (error) {
      held = undefined;
      throw error;
    }
  };

  /** Tries until the Lease is held. */
  const acquire = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      try {
        if (await withDeadline(renewMs, signal, attempt)) return;
      } catch (error) {
        if (signal.aborted) throw error;
        if (!isOthers(error)) log.warn("lease not acquired", { error });
      }
      await pause(signal);
    }
  };

  /** Renews until that has failed for too long; what is left of the lease by then is the time to stop in. */
  const renew = async (signal: AbortSignal): Promise<void> => {
    let renewedMs = performance.now();
    while (!signal.aborted) {
      await pause(signal);
      const beganMs = performance.now();
      const leftMs = renewedMs + renewMs - beganMs;
      if (leftMs <= 0) return;
      try {
        if (!(await withDeadline(leftMs, signal, attempt))) return;
        // Others count from when they see the write, which is after this.
        renewedMs = beganMs;
      } catch (error) {
        if (signal.aborted) throw error;
        log.warn("lease not renewed", { error });
      }
    }
  };

  const pause = (signal: AbortSignal): Promise<void> =>
    sleep(retryMs * (1 + JITTER * random()), signal);

  const note = (lease: Lease | undefined, what: string): void => {
    log.info(what);
    if (lease === undefined) return;
    deps.events?.record(referenceTo(lease), "Normal", "LeaderElection", `${identity} ${what}`);
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await acquire(signal);
      const lease = held;
      note(lease, "became leader");
      knownHolder = identity;
      isLeading = true;
      status.set(1);
      const work = options.lead();
      try {
        await renew(signal);
      } finally {
        await work[Symbol.asyncDispose]();
        status.set(0);
        note(lease, "stopped leading");
        if (!signal.aborted) options.lost?.();
      }
      isLeading = false;
      held = undefined;
    }
  };

  const release = async (): Promise<void> => {
    if (!isLeading) return;
    try {
      await withDeadline(RELEASE_MS, undefined, async (signal) => {
        // Read anew: the end may have come while a renewal was on its way.
        const lease = await read(signal);
        if (lease?.spec.holderIdentity !== identity) return;
        const spec = releasedSpec(lease.spec, time());
        await client.update(leaseKind, { ...lease, spec }, { signal });
      });
    } catch (error) {
      // Then another takes it when its time is over.
      log.info("lease not released", { error });
    }
  };

  const loop = run(ended.signal).catch((error: unknown) => {
    if (!ended.signal.aborted) log.error("leader election ended", { error });
  });
  return {
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error(`the election for ${name} was ended`));
      await loop;
      await release();
    },
  };
}

/** Another was faster. */
function isOthers(error: unknown): boolean {
  return hasReason(error, "Conflict", "AlreadyExists");
}
