import assert from "node:assert/strict";
import { decodeMessage, parseQuery } from "../../src/core/dns/decode.ts";
import { formatDomainName } from "../../src/core/dns/domain-name.ts";
import { RCODE, TYPE, typeOf } from "../../src/core/dns/message.ts";
import { FORGED_ADDRESS, endOfQuestion } from "./hostile-upstream.ts";

const FORGED_DATA = Buffer.from([0, 4, ...FORGED_ADDRESS]);
/** What is said to a question that is no good. */
const COMPLAINTS: ReadonlySet<number> = new Set([RCODE.FORMERR, RCODE.NOTIMP, RCODE.BADVERS]);

/**
 * Looks at an answer to a hostile packet: a whole message to a question, which it repeats byte by byte; over UDP
 * no longer than who asked takes (what was sent in somebody else's name must not become a flood for them); records
 * of one type to ANY (RFC 8482); no option over UDP; nothing that was forged; and the truth about the Service `web`.
 * @throws AssertionError.
 */
export function checkAnswer(
  packet: Uint8Array,
  answer: Uint8Array,
  transport: "udp" | "tcp",
): void {
  assert.ok(packet.length >= 12, "an answer to less than a header");
  assert.equal((packet[2] ?? 0) & 0x80, 0, "an answer to an answer");
  const message = decodeMessage(answer);
  assert.ok(message, "malformed");
  assert.ok(message.isResponse, "no answer");
  assert.equal(message.opcode, ((packet[2] ?? 0) >> 3) & 0xf, "another opcode");
  assert.ok(hasSameQuestion(packet, answer), "another question");
  const query = parseQuery(packet);
  assert.notEqual(query.kind, "ignore");
  if (query.kind === "ignore") return;
  assert.equal(message.edns === undefined, query.edns === undefined, "EDNS for whoever uses it");
  if (transport === "udp") {
    const takes = query.edns === undefined ? 512 : Math.max(512, query.edns.udpBytes);
    const limit = query.kind === "refuse" ? packet.length : Math.min(1232, takes);
    assert.ok(answer.length <= limit, `${String(answer.length)} bytes, not ${String(limit)}`);
    // The last record is OPT, without options: none is repeated, a cookie no more than any other (RFC 6891 6.1.2).
    const opt = [...answer.subarray(-11)].filter((_, i) => i < 3 || i > 8).join();
    assert.equal(message.edns === undefined || opt === "0,0,41,0,0", true, "an option came back");
  }
  if (message.question?.type === TYPE.ANY) {
    const types = new Set(message.answers.map(({ data }) => typeOf(data)));
    assert.ok(types.size <= 1, "a long ANY");
    const isAnswered = message.answers.length > 0;
    assert.ok(!isAnswered || message.authority.length === 0, "a long ANY");
    assert.equal(message.additional.length, 0, "a long ANY");
  }
  assert.equal(Buffer.from(answer).indexOf(FORGED_DATA), -1, "what was forged was believed");
  checkTruth(message);
}

/** Whether the answer repeats the packet's question byte by byte, or none. */
export function hasSameQuestion(packet: Uint8Array, answer: Uint8Array): boolean {
  if (answer[5] === 0) return true;
  const end = endOfQuestion(packet) ?? 0;
  return end > 0 && Buffer.from(packet.subarray(12, end)).equals(answer.subarray(12, end));
}

function checkTruth({
  question,
  rcode,
  answers,
}: NonNullable<ReturnType<typeof decodeMessage>>): void {
  if (question?.type !== TYPE.A || question.class !== 1 || COMPLAINTS.has(rcode)) return;
  if (formatDomainName(question.name).toLowerCase() !== "web.default.svc.cluster.local.") return;
  assert.equal(rcode, RCODE.NOERROR);
  const addresses = answers.map(({ data }) => ("address" in data ? data.address : data.kind));
  assert.deepEqual(addresses, ["10.96.0.10"]);
}
