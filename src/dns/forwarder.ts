import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message } from "../core/dns/message.ts";
import type { Logger } from "../telemetry/log.ts";
import { AnswerCache, cacheKeyOf } from "./answer-cache.ts";
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

export interface ForwarderLimits {
  /** For one try at one server; clients themselves try again after 5 s (glibc). */
  readonly tryMs: number;
  /** Different questions that may wait for servers; more are refused (CoreDNS `max_concurrent`). */
  readonly maxInFlight: number;
}

export const FORWARDER_LIMITS: ForwarderLimits = { tryMs: 2000, maxInFlight: 1000 };

/** No client waits for more tries than this. */
const MAX_TRIES = 3;

export function startForwarder(
  deps: { readonly upstreams: UpstreamSource; readonly log: Logger; readonly nowMs: () => number },
  limits: ForwarderLimits = FORWARDER_LIMITS,
): Forwarder {
  const { log, nowMs } = deps;
  const cache = new AnswerCache();
  const inFlight = new Map<string, Promise<Forwarded>>();
  const ended = new AbortController();

  const ask = async (key: string, question: UpstreamQuestion): Promise<Forwarded> => {
    const upstreams = await deps.upstreams();
    if (upstreams.length === 0) return failed(RCODE.SERVFAIL, "there is no upstream server");
    const answer = await askInTurn(upstreams, question, limits.tryMs, ended.signal, log);
    if (answer === undefined) return failed(RCODE.SERVFAIL, "no upstream server answered");
    cache.put(key, answer, nowMs());
    return { kind: "answer", message: answer.message };
  };

  return {
    resolve: async (question) => {
      const key = cacheKeyOf(question);
      const known = cache.get(key, nowMs());
      if (known !== undefined) return { kind: "answer", message: known };
      const running = inFlight.get(key);
      if (running !== undefined) return running;
      if (ended.signal.aborted) return failed(RCODE.SERVFAIL, "the server is stopping");
      if (inFlight.size >= limits.maxInFlight) {
        return failed(RCODE.REFUSED, "too many questions wait for upstream servers");
      }
      const started = ask(key, question).finally(() => inFlight.delete(key));
      inFlight.set(key, started);
      return started;
    },
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error("the DNS server was stopped"));
      await Promise.all(inFlight.values());
    },
  };
}

/** One server after the other; the only one there is gets a second chance, for UDP loses packets. */
async function askInTurn(
  upstreams: readonly Upstream[],
  question: UpstreamQuestion,
  tryMs: number,
  signal: AbortSignal,
  log: Logger,
): Promise<UpstreamAnswer | undefined> {
  let last: UpstreamAnswer | undefined;
  const unreachable = new Set<Upstream>();
  const turns = upstreams.length === 1 ? [...upstreams, ...upstreams] : upstreams;
  for (const upstream of turns.slice(0, MAX_TRIES)) {
    if (unreachable.has(upstream)) continue;
    try {
      last = await withDeadline(tryMs, signal, (bounded) =>
        askUpstream(upstream, question, bounded),
      );
      if (!isServersOwnTrouble(last.message.rcode)) return last;
      unreachable.add(upstream);
    } catch (error) {
      if (signal.aborted) return last;
      if (!(error instanceof DeadlineError)) unreachable.add(upstream);
      log.debug("dns upstream failed", { upstream: upstream.address, error });
    }
  }
  return last;
}

/** Codes that say something of the server, not of the name: another one may do better. */
function isServersOwnTrouble(rcode: number): boolean {
  return rcode === RCODE.SERVFAIL || rcode === RCODE.NOTIMP || rcode === RCODE.REFUSED;
}

function failed(rcode: number, reason: string): Forwarded {
  return { kind: "failed", rcode, reason };
}
