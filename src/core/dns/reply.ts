import type { ParsedQuery } from "./decode.ts";
import { encodeMessage } from "./encode.ts";
import { EDNS_UDP_BYTES, PLAIN_UDP_BYTES, RCODE, TCP_BYTES } from "./message.ts";
import type { Edns, Message } from "./message.ts";

/** What is said to a query. */
export type Reply = Partial<Pick<Message, "answers" | "authority" | "additional">> & {
  readonly rcode: number;
  readonly authoritative?: boolean;
  readonly authenticData?: boolean;
  /** Whether the answer is to be asked for over TCP, whatever fits. */
  readonly truncated?: boolean;
};

/** How the answer travels: what it may hold depends on it. `tls` also hides its length when asked to. */
export type Transport = "udp" | "tcp" | "tls";

/** RFC 8467 section 4.1: answers are padded to a multiple of this. */
const PADDING_BLOCK_BYTES = 468;

/**
 * How many bytes the answer may have: what the client takes, but over UDP never what may be cut into fragments
 * on the way (DNS-018).
 */
export function maxReplyBytes(edns: Edns | undefined, transport: Transport): number {
  if (transport !== "udp") return TCP_BYTES;
  if (edns === undefined) return PLAIN_UDP_BYTES;
  return Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns.udpBytes));
}

/** The answer's bytes: what it repeats of the query, and as much of the reply as fits. */
export function encodeReply(
  query: Exclude<ParsedQuery, { kind: "ignore" }>,
  reply: Reply,
  transport: Transport,
): Uint8Array {
  const { edns } = query;
  const message: Message = {
    id: query.id,
    isResponse: true,
    opcode: query.kind === "refuse" ? query.opcode : 0,
    authoritative: reply.authoritative ?? false,
    truncated: reply.truncated ?? false,
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
        : {
            udpBytes: EDNS_UDP_BYTES,
            dnssecOk: edns.dnssecOk,
            version: 0,
            // Only where nobody on the way sees the content, and only for who pads as well (RFC 7830 section 4).
            ...(edns.isPadded === true && transport === "tls"
              ? { padToBytes: PADDING_BLOCK_BYTES }
              : {}),
          },
  };
  return encodeMessage(message, maxReplyBytes(edns, transport));
}
