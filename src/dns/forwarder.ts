import { setMaxListeners } from "node:events";
import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { StaleConfig } from "../core/dns/corefile/cache-directive.ts";
import type { ForwardPolicy } from "../core/dns/corefile/forward-directive.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { CLASS_IN, RCODE, TYPE } from "../core/dns/message.ts";
import type { Message } from "../core/dns/message.ts";
import type { Logger } from "../telemetry/log.ts";
import { cacheKeyOf } from "./answer-cache.ts";
import type { AnswerCache } from "./answer-cache.ts";
import { NO_FORWARD_METRICS } from "./forward-metrics.ts";
import type { ForwardMetrics } from "./forward-metrics.ts";
import type { LoopGuard } from "./loop-guard.ts";
import { StreamPool } from "./stream-pool.ts";
import { UpstreamHealth, orderUpstreams } from "./upstream-health.ts";
import type { UpstreamSource } from "./upstream-source.ts";
import { askUpstream } from "./upstream.ts";
import type { Upstream, UpstreamAnswer, UpstreamQuestion } from "./upstream.ts";

export type Forwarded =
  | { readonly kind: "answer"; readonly message: Message }
  /** SERVFAIL when nobody answered, REFUSED when too many questions wait. */
  | { readonly kind: "failed"; readonly rcode: number; readonly reason: string };

/** Has other servers answer. Never rejects. Disposing gives up all that is under way. */
export interface Forwarder extends AsyncDisposable {
  resolve(question: UpstreamQuestion): Promise<Forwarded>;
}

export interface ForwarderDeps {
  readonly upstreams: UpstreamSource;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Undefined: nothing is kept. */
  readonly cache?: AnswerCache | undefined;
  readonly stale?: StaleConfig | undefined;
  /** Undefined: nobody looks whether a server leads back here. */
  readonly loopGuard?: LoopGuard | undefined;
  readonly metrics?: ForwardMetrics | undefined;
}

export interface ForwarderOptions {
  /** For one try at one server; clients themselves try again after 5 s (glibc). */
  readonly tryMs: number;
  /** Different questions that may wait for servers; more are refused (CoreDNS `max_concurrent`). */
  readonly maxInFlight: number;
  readonly policy: ForwardPolicy;
  /** What is asked of the servers: names in it. */
  readonly from: DomainName;
  readonly forceTcp: boolean;
  readonly randomCase: boolean;
  /** How long an idle connection is kept. */
  readonly expireMs: number;
  /** Failed checks after which a server is not asked; 0: never. */
  readonly maxFails: number;
  readonly healthCheckMs: number;
  readonly healthCheckDomain: DomainName;
  readonly healthCheckRecursion: boolean;
  /** Codes after which the next server is asked, beside those that say something of the server only. */
  readonly failover: readonly number[];
  /** Whether nobody is asked when every server is down; else one is tried all the same. */
  readonly failFast: boolean;
  /** Servers that are tried for one question; 0: as many as clients wait for. */
  readonly maxAttempts: number;
  /** Idle connections that are kept to each server; 0: all. */
  readonly maxIdleConnections: number;
  /** How old a kept connection may get; 0: any age. */
  readonly maxAgeMs: number;
}

export const FORWARDER_DEFAULTS: ForwarderOptions = {
  tryMs: 2000,
  maxInFlight: 1000,
  policy: "sequential",
  from: [],
  forceTcp: false,
  randomCase: false,
  expireMs: 10_000,
  maxFails: 2,
  healthCheckMs: 500,
  healthCheckDomain: [],
  healthCheckRecursion: true,
  failover: [],
  failFast: false,
  maxAttempts: 0,
  maxIdleConnections: 0,
  maxAgeMs: 0,
};

/** No client waits for more tries than this. */
const MAX_TRIES = 3;
/** When a client gets a stale answer although servers may still have a newer one (RFC 8767 section 5). */
const STALE_AFTER_MS = 1800;
const CHECK_MS = 1000;

export function startForwarder(
  deps: ForwarderDeps,
  options: ForwarderOptions = FORWARDER_DEFAULTS,
): Forwarder {
  const { log, nowMs, cache, loopGuard, metrics = NO_FORWARD_METRICS } = deps;
  const inFlight = new Map<string, Promise<Forwarded>>();
  const ended = new AbortController();
  // Each question that waits listens to it: as many as may wait are no leak.
  setMaxListeners(0, ended.signal);
  const streams = new StreamPool(options, (isReused, upstream) => {
    metrics.connection(upstream, isReused);
  });
  const { forceTcp, randomCase, maxAttempts } = options;
  const maxTries = maxAttempts === 0 ? MAX_TRIES : Math.min(MAX_TRIES, maxAttempts);
  const askOne = async (
    upstream: Upstream,
    question: UpstreamQuestion,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> => {
    const startMs = nowMs();
    const answer = await withDeadline(options.tryMs, signal, (bounded) =>
      askUpstream(upstream, question, { streams, forceTcp, randomCase }, bounded),
    );
    metrics.answered(upstream, answer.message.rcode, nowMs() - startMs);
    return answer;
  };
  const health = new UpstreamHealth(
    { maxFails: options.maxFails, intervalMs: options.healthCheckMs },
    async (upstream) => {
      const recursionDesired = options.healthCheckRecursion;
      try {
        await withDeadline(CHECK_MS, ended.signal, (bounded) =>
          askUpstream(
            upstream,
            plainQuestion(options.healthCheckDomain, TYPE.NS),
            { streams, forceTcp, recursionDesired },
            bounded,
          ),
        );
        return true;
      } catch {
        // Not there, or silent: that is what the check is for.
        if (!ended.signal.aborted) metrics.checkFailed(upstream);
        return false;
      }
    },
  );

  /** A server that leads back here is known for it as soon as our question arrives. */
  const probe = (upstream: Upstream): void => {
    const name = loopGuard?.probeFor(upstream, options.from);
    if (name === undefined) return;
    // What becomes of it is of no interest here: the guard sees whether it comes back.
    void askOne(upstream, plainQuestion(name, TYPE.HINFO), ended.signal).catch(() => undefined);
  };

  const candidates = async (): Promise<readonly Upstream[]> => {
    const all = (await deps.upstreams()).filter((upstream) => !loopGuard?.isLooping(upstream));
    turn = (turn + 1) & 0x7fff_ffff;
    const up = all.filter((upstream) => !health.isDown(upstream));
    if (up.length > 0 || all.length === 0) {
      return orderUpstreams(up, options.policy, turn, Math.random);
    }
    metrics.allDown();
    // The checks may be what is wrong: one is tried, whichever.
    return options.failFast ? [] : orderUpstreams(all, "random", turn, Math.random).slice(0, 1);
  };
  let turn = 0;

  const tryOne = async (
    upstream: Upstream,
    question: UpstreamQuestion,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer | "unreachable" | "silent"> => {
    probe(upstream);
    try {
      return await askOne(upstream, question, signal);
    } catch (error) {
      if (signal.aborted) return "silent";
      log.debug("dns upstream failed", { upstream: upstream.address, error });
      health.failed(upstream);
      return error instanceof DeadlineError ? "silent" : "unreachable";
    }
  };

  const isFinal = ({ message: { rcode } }: UpstreamAnswer): boolean =>
    !isServersOwnTrouble(rcode) && !options.failover.includes(rcode);

  /** One server after the other; the only one there is gets a second chance, for UDP loses packets. */
  const askInTurn = async (
    upstreams: readonly Upstream[],
    question: UpstreamQuestion,
  ): Promise<UpstreamAnswer | undefined> => {
    let last: UpstreamAnswer | undefined;
    const left = new Set(upstreams);
    const turns = upstreams.length === 1 ? [...upstreams, ...upstreams] : upstreams;
    for (const upstream of turns.slice(0, maxTries)) {
      if (!left.has(upstream) || ended.signal.aborted) continue;
      const outcome = await tryOne(upstream, question, ended.signal);
      if (outcome === "silent") continue;
      left.delete(upstream);
      if (outcome === "unreachable") continue;
      last = outcome;
      if (isFinal(outcome)) return outcome;
    }
    return last;
  };

  /** All at once: the first good answer counts, and the others are given up. */
  const askTogether = async (
    upstreams: readonly Upstream[],
    question: UpstreamQuestion,
  ): Promise<UpstreamAnswer | undefined> => {
    const done = new AbortController();
    const stop = (): void => {
      done.abort(new Error("another server answered"));
    };
    ended.signal.addEventListener("abort", stop, { once: true });
    let last: UpstreamAnswer | undefined;
    try {
      const tries = upstreams.slice(0, maxTries).map(async (upstream) => {
        const outcome = await tryOne(upstream, question, done.signal);
        if (typeof outcome === "string") throw new Error(outcome);
        last = outcome;
        if (!isFinal(outcome)) throw new Error("another server may do better");
        return outcome;
      });
      return await Promise.any(tries);
    } catch {
      // Nobody had a good answer: each failure was handled where it came up.
      return last;
    } finally {
      ended.signal.removeEventListener("abort", stop);
      stop();
    }
  };

  const ask = async (key: string, question: UpstreamQuestion): Promise<Forwarded> => {
    const upstreams = await candidates();
    if (upstreams.length === 0) return failed(RCODE.SERVFAIL, "there is no upstream server");
    const askAll = options.policy === "parallel" && upstreams.length > 1 ? askTogether : askInTurn;
    const answer = await askAll(upstreams, question);
    if (answer === undefined) return failed(RCODE.SERVFAIL, "no upstream server answered");
    cache?.put(key, answer, nowMs());
    return { kind: "answer", message: answer.message };
  };

  const start = (key: string, question: UpstreamQuestion): Promise<Forwarded> => {
    const running = inFlight.get(key);
    if (running !== undefined) return running;
    if (ended.signal.aborted) {
      return Promise.resolve(failed(RCODE.SERVFAIL, "the server is stopping"));
    }
    if (inFlight.size >= options.maxInFlight) {
      metrics.rejected();
      const reason = "too many questions wait for upstream servers";
      return Promise.resolve(failed(RCODE.REFUSED, reason));
    }
    const started = ask(key, question).finally(() => inFlight.delete(key));
    inFlight.set(key, started);
    return started;
  };

  /** Asks for a newer answer than the kept one. @returns undefined when nobody has one. */
  const renew = async (key: string, question: UpstreamQuestion): Promise<Forwarded | undefined> => {
    const forwarded = await start(key, question);
    const isNewer = forwarded.kind === "answer" && !isServersOwnTrouble(forwarded.message.rcode);
    if (isNewer) return forwarded;
    cache?.renewalFailed(key, nowMs());
    return undefined;
  };

  return {
    resolve: async (question) => {
      const key = cacheKeyOf(question);
      const hit = cache?.get(key, nowMs());
      if (hit === undefined) return start(key, question);
      const kept: Forwarded = { kind: "answer", message: hit.message };
      if (!hit.isDue) return kept;
      // It never rejects, and whoever asks next profits.
      const renewing = renew(key, question);
      if (hit.isStale && deps.stale?.refresh === "verify") {
        const timeout = new AbortController();
        const late = sleep(STALE_AFTER_MS, timeout.signal).catch(() => undefined);
        const newer = await Promise.race([renewing, late.then(() => undefined)]);
        timeout.abort();
        if (newer !== undefined) return newer;
      }
      if (hit.isStale) metrics.servedStale();
      else metrics.prefetched();
      return kept;
    },
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error("the DNS server was stopped"));
      health[Symbol.dispose]();
      await Promise.all(inFlight.values());
      streams[Symbol.dispose]();
    },
  };
}

/** A question of ours, not of a client. */
function plainQuestion(name: DomainName, type: number): UpstreamQuestion {
  return {
    name,
    type,
    class: CLASS_IN,
    dnssecOk: false,
    authenticData: false,
    checkingDisabled: false,
  };
}

/** Codes that say something of the server, not of the name: another one may do better. */
function isServersOwnTrouble(rcode: number): boolean {
  return rcode === RCODE.SERVFAIL || rcode === RCODE.NOTIMP || rcode === RCODE.REFUSED;
}

function failed(rcode: number, reason: string): Forwarded {
  return { kind: "failed", rcode, reason };
}
