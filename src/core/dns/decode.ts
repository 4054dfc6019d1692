import { readName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { CLASS_IN, PADDING_OPTION, RCODE, TYPE } from "./message.ts";
import type { Edns, Message, Question, ResourceRecord } from "./message.ts";
import { readRecordData } from "./record-data.ts";

/** A question as a client sent it. */
export interface Query {
  readonly id: number;
  readonly question: Question;
  readonly recursionDesired: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  readonly edns: Edns | undefined;
  /** The zone's serial number that the asker has, in an IXFR question (RFC 1995 section 3). */
  readonly knownSerial?: number | undefined;
}

export type ParsedQuery =
  | ({ readonly kind: "query" } & Query)
  /** To be answered with this code: what of the query could be read is echoed. */
  | {
      readonly kind: "refuse";
      readonly id: number;
      readonly opcode: number;
      readonly rcode: number;
      readonly recursionDesired: boolean;
      readonly question: Question | undefined;
      readonly edns: Edns | undefined;
    }
  /** Not to be answered: no header, or itself an answer (two servers must never talk to each other). */
  | { readonly kind: "ignore" };

/** Reads what a client sent. Never throws, whatever the bytes are. */
export function parseQuery(bytes: Uint8Array): ParsedQuery {
  const header = readHeader(bytes);
  if (header === undefined || header.isResponse) return { kind: "ignore" };
  const { id, opcode, recursionDesired, authenticData, checkingDisabled } = header;
  const refuse = (rcode: number, question?: Question, edns?: Edns): ParsedQuery => ({
    kind: "refuse",
    id,
    opcode,
    rcode,
    recursionDesired,
    question,
    edns,
  });
  if (opcode !== 0) return refuse(RCODE.NOTIMP);
  // RFC 9619: a query has exactly one question.
  if (header.questions !== 1 || header.answers !== 0) return refuse(RCODE.FORMERR);
  const read = readQuestion(bytes, HEADER_BYTES, "refuse");
  if (read === undefined) return refuse(RCODE.FORMERR);
  const { question } = read;
  const records = readSection(bytes, read.end, header.authority + header.additional);
  if (records === undefined) return refuse(RCODE.FORMERR, question);
  const edns = ednsOf(records.opts);
  if (edns === "malformed") return refuse(RCODE.FORMERR, question);
  if (edns !== undefined && edns.version !== 0) return refuse(RCODE.BADVERS, question, edns);
  return {
    kind: "query",
    id,
    question,
    recursionDesired,
    authenticData,
    checkingDisabled,
    edns,
    ...(question.type === TYPE.IXFR ? { knownSerial: serialIn(records.records) } : {}),
  };
}

function serialIn(records: readonly ResourceRecord[]): number | undefined {
  for (const { data } of records) if (data.kind === "SOA") return data.serial;
  return undefined;
}

/**
 * Reads a whole message, such as an upstream's answer. Never throws.
 * @returns undefined when any part of it is malformed: half an answer is no answer.
 */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  const header = readHeader(bytes);
  if (header === undefined || header.questions > 1) return undefined;
  let position = HEADER_BYTES;
  let question: Question | undefined;
  if (header.questions === 1) {
    const read = readQuestion(bytes, position, "follow");
    if (read === undefined) return undefined;
    question = read.question;
    position = read.end;
  }
  const answers = readSection(bytes, position, header.answers);
  if (answers === undefined) return undefined;
  const authority = readSection(bytes, answers.end, header.authority);
  if (authority === undefined) return undefined;
  const additional = readSection(bytes, authority.end, header.additional);
  if (additional === undefined) return undefined;
  if (answers.opts.length > 0 || authority.opts.length > 0) return undefined;
  const edns = ednsOf(additional.opts);
  if (edns === "malformed") return undefined;
  const { isResponse, opcode, authoritative, truncated, recursionDesired } = header;
  return {
    id: header.id,
    isResponse,
    opcode,
    authoritative,
    truncated,
    recursionDesired,
    recursionAvailable: header.recursionAvailable,
    authenticData: header.authenticData,
    checkingDisabled: header.checkingDisabled,
    rcode: ((additional.opts[0]?.extendedRcode ?? 0) << 4) | header.rcode,
    question,
    answers: answers.records,
    authority: authority.records,
    additional: additional.records,
    edns,
  };
}

const HEADER_BYTES = 12;

interface Header {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  readonly rcode: number;
  readonly questions: number;
  readonly answers: number;
  readonly authority: number;
  readonly additional: number;
}

interface Opt {
  readonly edns: Edns;
  readonly extendedRcode: number;
  readonly isWellFormed: boolean;
}

interface Section {
  readonly records: readonly ResourceRecord[];
  readonly opts: readonly Opt[];
  readonly end: number;
}

function readHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = uint16(bytes, 2);
  return {
    id: uint16(bytes, 0),
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: flags & 0xf,
    questions: uint16(bytes, 4),
    answers: uint16(bytes, 6),
    authority: uint16(bytes, 8),
    additional: uint16(bytes, 10),
  };
}

function readQuestion(
  bytes: Uint8Array,
  offset: number,
  pointers: "follow" | "refuse",
): { readonly question: Question; readonly end: number } | undefined {
  const read = readName(bytes, offset, pointers);
  if (read === undefined || read.end + 4 > bytes.length) return undefined;
  const { name, end } = read;
  return {
    question: { name, type: uint16(bytes, end), class: uint16(bytes, end + 2) },
    end: end + 4,
  };
}

function readSection(bytes: Uint8Array, offset: number, count: number): Section | undefined {
  const records: ResourceRecord[] = [];
  const opts: Opt[] = [];
  let position = offset;
  for (let i = 0; i < count; i++) {
    const owner = readName(bytes, position, "follow");
    if (owner === undefined || owner.end + 10 > bytes.length) return undefined;
    const { name, end } = owner;
    const type = uint16(bytes, end);
    const start = end + 10;
    position = start + uint16(bytes, end + 8);
    if (position > bytes.length) return undefined;
    if (type === TYPE.OPT) {
      opts.push(readOpt(bytes, name, end, position));
      continue;
    }
    // Queries may carry signatures of class ANY (TSIG), which nobody here asked for: left out.
    if (uint16(bytes, end + 2) !== CLASS_IN) continue;
    const data = readRecordData(bytes, type, start, position);
    if (data === undefined) return undefined;
    records.push({ name, ttlSeconds: ttl(bytes, end + 4), data });
  }
  return { records, opts, end: position };
}

/** RFC 6891 section 6.1.2: the class is the size, the time to live holds code, version and flags. */
function readOpt(bytes: Uint8Array, name: DomainName, end: number, dataEnd: number): Opt {
  let position = end + 10;
  let isPadded = false;
  while (position + 4 <= dataEnd) {
    // What is not known is not for us (RFC 6891 section 6.1.2).
    isPadded ||= uint16(bytes, position) === PADDING_OPTION;
    position += 4 + uint16(bytes, position + 2);
  }
  return {
    edns: {
      ...(isPadded ? { isPadded } : {}),
      udpBytes: uint16(bytes, end + 2),
      dnssecOk: ((bytes[end + 6] ?? 0) & 0x80) !== 0,
      version: bytes[end + 5] ?? 0,
    },
    extendedRcode: bytes[end + 4] ?? 0,
    isWellFormed: name.length === 0 && position === dataEnd,
  };
}

/** RFC 6891 section 6.1.1: at most one, and its owner is the root. */
function ednsOf(opts: readonly Opt[]): Edns | undefined | "malformed" {
  if (opts.length > 1 || opts.some((opt) => !opt.isWellFormed)) return "malformed";
  return opts[0]?.edns;
}

/** RFC 2181 section 8: a value with the top bit set means 0. */
function ttl(bytes: Uint8Array, offset: number): number {
  const high = uint16(bytes, offset);
  return high >= 0x8000 ? 0 : high * 0x1_0000 + uint16(bytes, offset + 2);
}

function uint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}
