import { answer } from "../core/dns/answer.ts";
import { parseQuery } from "../core/dns/decode.ts";
import type { ParsedQuery, Query } from "../core/dns/decode.ts";
import type { DnsIndex } from "../core/dns/dns-index.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { EDNS_UDP_BYTES, PLAIN_UDP_BYTES, RCODE, TCP_BYTES } from "../core/dns/message.ts";
import type { Edns, Message, ResourceRecord } from "../core/dns/message.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Forwarded, Forwarder } from "./forwarder.ts";
import type { Protocol, Respond } from "./listener.ts";
import type { DnsMetrics } from "./metrics.ts";

export interface ResponderDeps {
  /** Undefined as long as the cluster is not known. */
  readonly index: () => DnsIndex | undefined;
  readonly forwarder: Forwarder;
  readonly metrics: DnsMetrics;
  readonly nowMs: () => number;
}

type Reply = Partial<Pick<Message, "answers" | "authority" | "additional">> & {
  readonly rcode: number;
  readonly authoritative?: boolean;
  readonly authenticData?: boolean;
};

/**
 * Keeps a defect in the answering of one question from ending the process, and with it everybody's names: it
 * is logged, and that question gets no answer.
 */
export function guarded(respond: Respond, log: Logger): Respond {
  const note = (error: unknown): undefined => {
    log.error("dns question not answered", { error });
  };
  return (message, protocol) => {
    try {
      const answer = respond(message, protocol);
      return answer instanceof Promise ? answer.catch(note) : answer;
    } catch (error) {
      return note(error);
    }
  };
}

/** Answers from the index at once, and all other names when upstream servers have. */
export function createResponder(deps: ResponderDeps, zone: ZoneOptions): Respond {
  const { metrics, nowMs } = deps;
  let rotation = 0;
  return (bytes, protocol) => {
    const startMs = nowMs();
    const parsed = parseQuery(bytes);
    if (parsed.kind === "ignore") {
      metrics.dropped(protocol);
      return undefined;
    }
    const type = parsed.question?.type;
    const finish = (reply: Reply, by: "kubernetes" | "forward"): Uint8Array => {
      metrics.answered({ protocol, type, rcode: reply.rcode, by, ms: nowMs() - startMs });
      return encodeReply(parsed, reply, protocol);
    };
    if (parsed.kind === "refuse") return finish({ rcode: parsed.rcode }, "kubernetes");
    // Wraps before numbers stop being exact.
    rotation = (rotation + 1) & 0x7fff_ffff;
    const limit = protocol === "tcp" ? TCP_BYTES : udpLimit(parsed.edns);
    const decision = answer(parsed.question, deps.index(), zone, rotation, limit);
    switch (decision.kind) {
      case "answer":
        return finish(decision, "kubernetes");
      case "servfail":
        return finish({ rcode: RCODE.SERVFAIL }, "kubernetes");
      case "forward":
        return forward(deps.forwarder, parsed, parsed.question.name).then((forwarded) =>
          finish(replyOf(forwarded), "forward"),
        );
      case "chase":
        return forward(deps.forwarder, parsed, decision.target).then((forwarded) =>
          finish(chasedReply(decision.answers, forwarded), "kubernetes"),
        );
    }
  };
}

function forward(forwarder: Forwarder, query: Query, name: DomainName): Promise<Forwarded> {
  return forwarder.resolve({
    name,
    type: query.question.type,
    class: query.question.class,
    dnssecOk: query.edns?.dnssecOk ?? false,
    authenticData: query.authenticData,
    checkingDisabled: query.checkingDisabled,
  });
}

function replyOf(forwarded: Forwarded): Reply {
  if (forwarded.kind === "failed") return { rcode: forwarded.rcode };
  const { rcode, authenticData, answers, authority, additional } = forwarded.message;
  return { rcode, authenticData, answers, authority, additional };
}

/**
 * Our CNAMEs stay in the answer whatever becomes of their target, whose code is the answer's (RFC 6604): a
 * client can tell a name that points to nothing from one that has no address.
 */
function chasedReply(cnames: readonly ResourceRecord[], forwarded: Forwarded): Reply {
  const reply = replyOf(forwarded);
  // What we say ourselves is not signed, so the whole is not either.
  return {
    ...reply,
    authoritative: true,
    authenticData: false,
    answers: [...cnames, ...(reply.answers ?? [])],
  };
}

function encodeReply(
  query: Exclude<ParsedQuery, { kind: "ignore" }>,
  reply: Reply,
  protocol: Protocol,
): Uint8Array {
  const { edns } = query;
  const message: Message = {
    id: query.id,
    isResponse: true,
    opcode: query.kind === "refuse" ? query.opcode : 0,
    authoritative: reply.authoritative ?? false,
    truncated: false,
    recursionDesired: query.recursionDesired,
    recursionAvailable: true,
    authenticData: reply.authenticData ?? false,
    checkingDisabled: query.kind === "query" && query.checkingDisabled,
    // Bits beyond the fourth have no place without EDNS.
    rcode: edns === undefined && reply.rcode > 0xf ? RCODE.SERVFAIL : reply.rcode,
    question: query.question,
    answers: reply.answers ?? [],
    authority: reply.authority ?? [],
    additional: reply.additional ?? [],
    edns:
      edns === undefined
        ? undefined
        : { udpBytes: EDNS_UDP_BYTES, dnssecOk: edns.dnssecOk, version: 0 },
  };
  return encodeMessage(message, protocol === "tcp" ? TCP_BYTES : udpLimit(edns));
}

/** What the client takes, but never what may be cut into fragments on the way (DNS-018). */
function udpLimit(edns: Edns | undefined): number {
  if (edns === undefined) return PLAIN_UDP_BYTES;
  return Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns.udpBytes));
}
