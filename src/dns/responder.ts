import { accessOf } from "../core/dns/access.ts";
import { zoneOf } from "../core/dns/answer.ts";
import { parseQuery } from "../core/dns/decode.ts";
import type { ParsedQuery, Query } from "../core/dns/decode.ts";
import { foldName, isWithin } from "../core/dns/domain-name.ts";
import { RCODE, TYPE } from "../core/dns/message.ts";
import { encodeReply, maxReplyBytes } from "../core/dns/reply.ts";
import { zoneTransfer } from "../core/dns/transfer.ts";
import type { Asker } from "../core/dns/upstream-options.ts";
import { parseIpAddress } from "../net/address.ts";
import { cidrContains } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Respond } from "./listener.ts";
import type { DnsMetrics } from "./metrics.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { answerInBlock } from "./server-block.ts";
import type { ServerBlock, Step } from "./server-block.ts";

export interface ResponderDeps {
  readonly metrics: DnsMetrics;
  readonly nowMs: () => number;
  /** Sees questions of ours that an upstream server sent back. */
  readonly loopGuard?: LoopGuard | undefined;
  /** Undefined: everybody gets every answer. */
  readonly rateLimiter?: RateLimiter | undefined;
}

/**
 * Keeps a defect in the answering of one question from ending the process, and with it everybody's names: it
 * is logged, and that question gets no answer.
 */
export function guarded(respond: Respond, log: Logger): Respond {
  const note = (error: unknown): undefined => {
    log.error("dns question not answered", { error });
  };
  return (message, protocol, peer) => {
    try {
      const answer = respond(message, protocol, peer);
      return answer instanceof Promise ? answer.catch(note) : answer;
    } catch (error) {
      return note(error);
    }
  };
}

/**
 * Between two answers: a prime, so that each of any number of addresses comes first equally often, and a large one
 * (2^31 by the golden ratio), so that of more addresses than an answer holds, two answers have quite other ones.
 */
const TURN = 1_327_217_909;
const MAX_ROTATION = 2 ** 52;

/** Answers each question in the block with the longest zone that it is in; in none, it is refused. */
export function createResponder(deps: ResponderDeps, blocks: readonly ServerBlock[]): Respond {
  const { metrics, nowMs, rateLimiter } = deps;
  const zones = blocks.flatMap((block) => block.zones);
  let rotation = 0;
  return (bytes, protocol, peer) => {
    const startMs = nowMs();
    const read = parseQuery(bytes);
    if (read.kind === "ignore") {
      metrics.dropped(protocol);
      return undefined;
    }
    const zone = read.question && zoneOf(foldName(read.question.name), zones);
    const block = zone && blocks.find((candidate) => candidate.zones.includes(zone));
    const parsed = withLessUdp(read, block?.maxUdpBytes);
    const note = (answer: Uint8Array, { rcode, by, reason }: Step): void => {
      const ms = nowMs() - startMs;
      metrics.answered({
        protocol,
        zone,
        type: parsed.question?.type,
        rcode,
        by,
        ms,
        dnssecOk: parsed.edns?.dnssecOk ?? false,
        requestBytes: bytes.length,
        responseBytes: answer.length,
      });
      block?.log?.({ query: parsed, queryBytes: bytes.length, answer, rcode, protocol, peer, ms });
      if (reason !== undefined && rcode === RCODE.SERVFAIL && parsed.question !== undefined) {
        block?.onFailure?.(parsed.question, reason);
      }
    };
    const finish = (step: Step): Uint8Array | undefined => {
      const verdict = protocol === "udp" ? (rateLimiter?.judge(peer.address) ?? "send") : "send";
      if (verdict === "drop") {
        metrics.dropped(protocol);
        return undefined;
      }
      const sent = verdict === "send" ? step : { rcode: step.rcode, by: step.by, truncated: true };
      const answer = encodeReply(parsed, sent, protocol);
      note(answer, step);
      return answer;
    };
    if (parsed.kind === "refuse") return finish({ rcode: parsed.rcode, by: "" });
    if (deps.loopGuard?.takes(parsed.question) === true || block === undefined) {
      return finish(REFUSAL);
    }
    if (block.access !== undefined && block.access.length > 0) {
      const action = accessOf(block.access, parsed.question, parseIpAddress(peer.address));
      block.onAccess?.(action);
      if (action === "drop") {
        metrics.dropped(protocol);
        return undefined;
      }
      if (action === "block") return finish({ rcode: RCODE.REFUSED, by: "acl" });
      if (action === "filter") return finish({ rcode: RCODE.NOERROR, by: "acl" });
    }
    if (parsed.question.type === TYPE.AXFR || parsed.question.type === TYPE.IXFR) {
      const messages = protocol === "udp" ? undefined : transferTo(block, parsed, peer.address);
      if (messages === undefined) return finish(REFUSAL);
      const [first] = messages;
      if (first !== undefined) note(first, { rcode: RCODE.NOERROR, by: "transfer" });
      return messages;
    }
    // Begins anew, after millions of answers, before numbers stop being exact.
    rotation = rotation < MAX_ROTATION ? rotation + TURN : 0;
    const maxBytes = maxReplyBytes(parsed.edns, protocol);
    const asker: Asker = {
      // Read when it is wanted, which few answers do.
      get address() {
        return parseIpAddress(peer.address);
      },
      port: peer.port,
      protocol: protocol === "udp" ? "udp" : "tcp",
    };
    const step = answerInBlock(block, parsed, { rotation, maxBytes, asker });
    return step instanceof Promise ? step.then(finish) : finish(step);
  };
}

/** @returns undefined when this peer may not have the zone, or it is none of the cluster's. */
function transferTo(
  { cluster, clusterset, transfers = [] }: ServerBlock,
  query: Query,
  peer: string,
): readonly Uint8Array[] | undefined {
  const name = foldName(query.question.name);
  const owner = [cluster, clusterset].find((names) => zoneOf(name, names?.zone.zones ?? []));
  const index = owner?.index();
  const address = parseIpAddress(peer);
  if (owner === undefined || index === undefined || address === undefined) return undefined;
  const isAllowed = transfers.some(
    ({ zones, to }) =>
      zones.some((zone) => isWithin(name, zone)) &&
      (to === undefined || to.some((cidr) => cidrContains(cidr, address))),
  );
  return isAllowed ? zoneTransfer(query, index, owner.zone, query.knownSerial) : undefined;
}

/** The query as if its sender took no more over UDP than so much. */
function withLessUdp<T extends Exclude<ParsedQuery, { kind: "ignore" }>>(
  query: T,
  maxBytes: number | undefined,
): T {
  const { edns } = query;
  if (edns === undefined || maxBytes === undefined || edns.udpBytes <= maxBytes) return query;
  return { ...query, edns: { ...edns, udpBytes: maxBytes } };
}

const REFUSAL: Step = { rcode: RCODE.REFUSED, by: "" };
