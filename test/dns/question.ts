import type { Message, Question } from "../../src/core/dns/message.ts";

/** What a client sends to ask, without EDNS where `more` does not say otherwise. */
export function questionMessage(question: Question, more: Partial<Message> = {}): Message {
  return {
    id: 1,
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    question,
    answers: [],
    authority: [],
    additional: [],
    edns: undefined,
    ...more,
  };
}
