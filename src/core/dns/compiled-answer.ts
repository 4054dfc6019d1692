import { answer } from "./answer.ts";
import type { Decision } from "./answer.ts";
import type { Query } from "./decode.ts";
import type { DnsIndex } from "./dns-index.ts";
import { foldName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { EDNS_UDP_BYTES, PLAIN_UDP_BYTES, TYPE } from "./message.ts";
import type { Edns, Question, ResourceRecord } from "./message.ts";
import type { Answer, ZoneOptions } from "./records.ts";
import { encodeReply } from "./reply.ts";

/** What follows the question in an answer's message, without OPT, and the counts that the header has then. */
export interface AnswerBody {
  readonly bytes: Uint8Array;
  readonly answers: number;
  readonly authority: number;
  readonly additional: number;
  readonly truncated: boolean;
}

/**
 * The answer to a question in a form that can be sent without being made again: whoever sends it adds the
 * header, the question as it was asked, and OPT.
 */
export interface CompiledAnswer {
  /** Folded. */
  readonly name: DomainName;
  readonly type: number;
  readonly rcode: number;
  readonly authoritative: boolean;
  /** The records repeat letters of the question: only one in small letters is answered by these bytes. */
  readonly isOnlyLowerCase: boolean;
  /** There are more orders of the records than are held here: after some time others are to be made. */
  readonly isPartial: boolean;
  /** The first order is always the one. */
  readonly isFixed: boolean;
  readonly form: RotatedRecords | AnswerBodies;
}

/** Addresses only, each record `unit` bytes long: any of them may come first, as many as fit are sent. */
export interface RotatedRecords {
  readonly kind: "rotated";
  readonly unit: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Whole bodies; which of a list is sent makes no difference but for the order of records. */
export interface AnswerBodies {
  readonly kind: "bodies";
  /** For questions without EDNS: 512 bytes in all. */
  readonly plain: readonly AnswerBody[];
  /** For those whose sender takes 1232 bytes or more. */
  readonly large: readonly AnswerBody[];
  /** Where the zone's serial number stands in each body, which changes by itself; undefined when it is not there. */
  readonly serialAt: number | undefined;
}

/** Of more addresses than this, some are compiled. More than a few dozen do not fit into a message anyway. */
const MAX_ROTATED = 512;
const MAX_BODIES = 4;
const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const LARGE_EDNS: Edns = { udpBytes: EDNS_UDP_BYTES, dnssecOk: false, version: 0 };

/**
 * Compiles what {@link answer} gives to a question over UDP.
 * @param rotation which of several records come first, when not all orders are held; undefined: they stay in one order.
 * @returns undefined when there is no answer to be had from the index alone.
 */
export function compileAnswer(
  asked: Question,
  index: DnsIndex,
  options: ZoneOptions,
  rotation: number | undefined,
): CompiledAnswer | undefined {
  const isFixed = rotation === undefined;
  const firstTurn = rotation ?? 0;
  const question = { ...asked, name: foldName(asked.name) };
  const isForAddresses = question.type === TYPE.A || question.type === TYPE.AAAA;
  // Every address record has at least sixteen bytes: room for one more than are kept shows that there are more.
  const maxBytes = isForAddresses ? 16 * MAX_ROTATED : EDNS_UDP_BYTES;
  const decision = answer(question, index, options, firstTurn, maxBytes);
  if (decision.kind !== "answer") return undefined;
  const common = {
    name: question.name,
    type: question.type,
    rcode: decision.rcode,
    authoritative: decision.authoritative,
    isFixed,
  };
  if (isForAddresses && isAddressesOnly(decision, question.name)) {
    const isPartial = !isFixed && decision.answers.length > MAX_ROTATED;
    const form = rotatedRecords(question, decision.answers.slice(0, MAX_ROTATED));
    return { ...common, isOnlyLowerCase: false, isPartial, form };
  }
  const orders = decision.answers.length;
  // Without records there is one order, and nothing that the message's length could change.
  if (orders === 0) return compileNegative(question, decision, index, options);
  const stride = Math.max(1, Math.floor(orders / MAX_BODIES));
  const rotations = Array.from(
    { length: isFixed ? 1 : Math.min(MAX_BODIES, orders) },
    (_, i) => firstTurn + i * stride,
  );
  const make = (edns: Edns | undefined): AnswerBody[] | undefined =>
    allOrNone(rotations.map((turn) => bodyOf(question, index, options, turn, edns)));
  const large = make(LARGE_EDNS);
  const plain =
    large?.every((body) => fitsPlain(body, question)) === true ? large : make(undefined);
  const shouted = bodyOf(shout(question), index, options, firstTurn, LARGE_EDNS);
  const [first] = large ?? [];
  if (plain === undefined || large === undefined || first === undefined || shouted === undefined) {
    return undefined;
  }
  return {
    ...common,
    isOnlyLowerCase: !sameBytes(first.bytes, shouted.bytes),
    isPartial: !isFixed && orders > rotations.length,
    form: { kind: "bodies", plain, large, serialAt: serialAt(question, decision, first) },
  };
}

/** What {@link compileAnswer} gives where there is nothing but the zone's SOA. */
function compileNegative(
  question: Question,
  decision: Answer,
  index: DnsIndex,
  options: ZoneOptions,
): CompiledAnswer | undefined {
  const body = encodeBody(question, decision, LARGE_EDNS);
  const shouted = bodyOf(shout(question), index, options, 0, LARGE_EDNS);
  if (shouted === undefined) return undefined;
  const large = [body];
  const plain = fitsPlain(body, question) ? large : [encodeBody(question, decision, undefined)];
  return {
    name: question.name,
    type: question.type,
    rcode: decision.rcode,
    authoritative: decision.authoritative,
    isOnlyLowerCase: !sameBytes(body.bytes, shouted.bytes),
    isPartial: false,
    isFixed: true,
    form: { kind: "bodies", plain, large, serialAt: serialAt(question, decision, body) },
  };
}

function isAddressesOnly({ answers, authority, additional }: Answer, name: DomainName): boolean {
  return (
    answers.length > 0 &&
    authority.length === 0 &&
    additional.length === 0 &&
    answers.every((record) => record.name === name)
  );
}

function rotatedRecords(question: Question, records: readonly ResourceRecord[]): RotatedRecords {
  // Over TCP everything fits: 512 records of 28 bytes.
  const query = queryOf(question, undefined);
  const bytes = encodeReply(query, { rcode: 0, answers: records }, "tcp").slice(endOf(question));
  return { kind: "rotated", unit: bytes.length / records.length, count: records.length, bytes };
}

function bodyOf(
  question: Question,
  index: DnsIndex,
  options: ZoneOptions,
  rotation: number,
  edns: Edns | undefined,
): AnswerBody | undefined {
  const maxBytes = edns === undefined ? PLAIN_UDP_BYTES : EDNS_UDP_BYTES;
  const decision = answer(question, index, options, rotation, maxBytes);
  return decision.kind === "answer" ? encodeBody(question, decision, edns) : undefined;
}

function encodeBody(question: Question, decision: Answer, edns: Edns | undefined): AnswerBody {
  const message = encodeReply(queryOf(question, edns), decision, "udp");
  const opt = edns === undefined ? 0 : 1;
  const count = (at: number): number => ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0);
  return {
    bytes: message.slice(endOf(question), message.length - opt * OPT_BYTES),
    answers: count(6),
    authority: count(8),
    additional: count(10) - opt,
    truncated: ((message[2] ?? 0) & 0x02) !== 0,
  };
}

/** Found by writing another number: the four bytes that differ then. */
function serialAt(
  question: Question,
  decision: Extract<Decision, { kind: "answer" }>,
  body: AnswerBody,
): number | undefined {
  const inverted = (records: readonly ResourceRecord[]): ResourceRecord[] =>
    records.map((record) =>
      record.data.kind === "SOA"
        ? { ...record, data: { ...record.data, serial: ~record.data.serial >>> 0 } }
        : record,
    );
  const { answers, authority } = decision;
  if (![...answers, ...authority].some(({ data }) => data.kind === "SOA")) return undefined;
  const changed = { ...decision, answers: inverted(answers), authority: inverted(authority) };
  const other = encodeBody(question, changed, LARGE_EDNS).bytes;
  const at = body.bytes.findIndex((byte, i) => byte !== other[i]);
  return at === -1 ? undefined : at;
}

/** A body that fits without EDNS is the same there: nothing was left out of it, and OPT is not part of it. */
function fitsPlain(body: AnswerBody, question: Question): boolean {
  return !body.truncated && endOf(question) + body.bytes.length + OPT_BYTES <= PLAIN_UDP_BYTES;
}

/** Where the question ends in a message: what is behind it is the body. */
function endOf({ name }: Question): number {
  return name.reduce((sum, label) => sum + label.length + 1, HEADER_BYTES + 5);
}

/** The same question in capital letters. */
function shout(question: Question): Question {
  const upper = (label: string): string =>
    label.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
  return { ...question, name: question.name.map(upper) };
}

function queryOf(question: Question, edns: Edns | undefined): { readonly kind: "query" } & Query {
  return {
    kind: "query",
    id: 0,
    question,
    recursionDesired: false,
    authenticData: false,
    checkingDisabled: false,
    edns,
  };
}

function allOrNone<T>(items: readonly (T | undefined)[]): T[] | undefined {
  const some = items.filter((item) => item !== undefined);
  return some.length === items.length ? some : undefined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
