import { zoneOf } from "../core/dns/answer.ts";
import { parseQuery } from "../core/dns/decode.ts";
import { foldName } from "../core/dns/domain-name.ts";
import { RCODE } from "../core/dns/message.ts";
import { encodeReply, maxReplyBytes } from "../core/dns/reply.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Respond } from "./listener.ts";
import type { DnsMetrics } from "./metrics.ts";
import { answerInBlock } from "./server-block.ts";
import type { ServerBlock, Step } from "./server-block.ts";

export interface ResponderDeps {
  readonly metrics: DnsMetrics;
  readonly nowMs: () => number;
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

/** Answers each question in the block with the longest zone that it is in; in none, it is refused. */
export function createResponder(deps: ResponderDeps, blocks: readonly ServerBlock[]): Respond {
  const { metrics, nowMs } = deps;
  const zones = blocks.flatMap((block) => block.zones);
  let rotation = 0;
  return (bytes, protocol) => {
    const startMs = nowMs();
    const parsed = parseQuery(bytes);
    if (parsed.kind === "ignore") {
      metrics.dropped(protocol);
      return undefined;
    }
    const zone = parsed.question && zoneOf(foldName(parsed.question.name), zones);
    const finish = (step: Step): Uint8Array => {
      const answer = encodeReply(parsed, step, protocol);
      metrics.answered({
        protocol,
        zone,
        type: parsed.question?.type,
        rcode: step.rcode,
        by: step.by,
        ms: nowMs() - startMs,
        dnssecOk: parsed.edns?.dnssecOk ?? false,
        requestBytes: bytes.length,
        responseBytes: answer.length,
      });
      return answer;
    };
    if (parsed.kind === "refuse") return finish({ rcode: parsed.rcode, by: "" });
    const block = zone && blocks.find((candidate) => candidate.zones.includes(zone));
    if (block === undefined) return finish({ rcode: RCODE.REFUSED, by: "" });
    // Wraps before numbers stop being exact.
    rotation = (rotation + 1) & 0x7fff_ffff;
    const step = answerInBlock(block, parsed, rotation, maxReplyBytes(parsed.edns, protocol));
    return step instanceof Promise ? step.then(finish) : finish(step);
  };
}
