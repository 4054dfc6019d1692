import { ipFamilyOf, ipToBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { DomainName } from "./domain-name.ts";
import { CLASS_IN, PADDING_OPTION, TYPE, typeOf } from "./message.ts";
import type { Message, RecordData, ResourceRecord } from "./message.ts";

const OPT_BYTES = 11;

/**
 * Writes a message of at most `maxBytes` (a header with its question always fits). Records are written
 * whole or not at all; when an answer or authority record had to be left out, TC says so (RFC 2181
 * section 9: additional records may go missing without). Names are compressed (RFC 1035 section 4.1.4).
 */
export function encodeMessage(message: Message, maxBytes: number): Uint8Array {
  const writer = new MessageWriter();
  writer.uint16(message.id);
  writer.uint16(0);
  writer.uint16(message.question === undefined ? 0 : 1);
  for (let i = 0; i < 3; i++) writer.uint16(0);
  if (message.question !== undefined) {
    writer.name(message.question.name);
    writer.uint16(message.question.type);
    writer.uint16(message.question.class);
  }
  const limit = maxBytes - (message.edns === undefined ? 0 : OPT_BYTES);
  const answers = writeSection(writer, message.answers, limit);
  let isTruncated = answers < message.answers.length;
  const authority = isTruncated ? 0 : writeSection(writer, message.authority, limit);
  isTruncated ||= authority < message.authority.length;
  let additional = isTruncated ? 0 : writeSection(writer, message.additional, limit);
  if (message.edns !== undefined) {
    writeOpt(writer, message, maxBytes);
    additional += 1;
  }
  writer.patchUint16(2, flagsOf(message, isTruncated));
  writer.patchUint16(6, answers);
  writer.patchUint16(8, authority);
  writer.patchUint16(10, additional);
  return writer.bytes();
}

/** @returns how many records fitted. */
function writeSection(
  writer: MessageWriter,
  records: readonly ResourceRecord[],
  limit: number,
): number {
  let count = 0;
  for (const record of records) {
    const start = writer.length;
    writeRecord(writer, record);
    if (writer.length > limit) {
      writer.cut(start);
      break;
    }
    count += 1;
  }
  return count;
}

function writeRecord(writer: MessageWriter, record: ResourceRecord): void {
  writer.name(record.name);
  writer.uint16(typeOf(record.data));
  writer.uint16(record.class ?? CLASS_IN);
  writer.uint32(record.ttlSeconds);
  const lengthAt = writer.length;
  writer.uint16(0);
  writeData(writer, record.data);
  writer.patchUint16(lengthAt, writer.length - lengthAt - 2);
}

function writeData(writer: MessageWriter, data: RecordData): void {
  switch (data.kind) {
    case "A":
    case "AAAA":
      writer.address(data.address);
      break;
    case "CNAME":
    case "NS":
    case "PTR":
      writer.name(data.target);
      break;
    case "SRV":
      writer.uint16(data.priority);
      writer.uint16(data.weight);
      writer.uint16(data.port);
      // RFC 2782: the target of an SRV is not compressed.
      writer.fullName(data.target);
      break;
    case "TXT":
      for (const text of data.strings) writer.text(text);
      break;
    case "SOA":
      writer.name(data.mname);
      writer.name(data.rname);
      writer.uint32(data.serial);
      writer.uint32(data.refreshSeconds);
      writer.uint32(data.retrySeconds);
      writer.uint32(data.expireSeconds);
      writer.uint32(data.minimumSeconds);
      break;
    case "other":
      for (const part of data.parts) {
        if (part instanceof Uint8Array) writer.raw(part);
        else writer.fullName(part);
      }
  }
}

function writeOpt(writer: MessageWriter, message: Message, maxBytes: number): void {
  writer.raw(Uint8Array.of(0));
  writer.uint16(TYPE.OPT);
  writer.uint16(message.edns?.udpBytes ?? 0);
  writer.raw(Uint8Array.of((message.rcode >> 4) & 0xff, message.edns?.version ?? 0));
  writer.uint16(message.edns?.dnssecOk === true ? 0x8000 : 0);
  const { padToBytes: block, options = NO_OPTIONS } = message.edns ?? {};
  if (block === undefined || writer.length + 6 > maxBytes) {
    writer.uint16(options.length);
    writer.raw(options);
    return;
  }
  // Two bytes of the options' length, and four of the option's head.
  const bare = writer.length + 6;
  const padding = Math.min(Math.ceil(bare / block) * block, maxBytes) - bare;
  writer.uint16(4 + padding);
  writer.uint16(PADDING_OPTION);
  writer.uint16(padding);
  writer.raw(new Uint8Array(padding));
}

function flagsOf(message: Message, isTruncated: boolean): number {
  const bit = (flag: boolean, mask: number): number => (flag ? mask : 0);
  return (
    bit(message.isResponse, 0x8000) |
    ((message.opcode & 0xf) << 11) |
    bit(message.authoritative, 0x0400) |
    bit(message.truncated || isTruncated, 0x0200) |
    bit(message.recursionDesired, 0x0100) |
    bit(message.recursionAvailable, 0x0080) |
    bit(message.authenticData, 0x0020) |
    bit(message.checkingDisabled, 0x0010) |
    (message.rcode & 0xf)
  );
}

/** The end of a name that stands in the message, from one label on. Exact in case: a pointer never changes letters. */
interface Tail {
  readonly label: string;
  readonly offset: number;
  /** What stands left of it: the first, and then each by the one before. */
  longer: Tail | undefined;
  readonly next: Tail | undefined;
}

/** Bytes that grow, and where in them which name stands. */
class MessageWriter {
  #bytes = new Uint8Array(512);
  #length = 0;
  /** Names of one label, from which all others are reached. */
  #tails: Tail | undefined;
  /** The whole name written last: most records of an answer have the same owner. */
  #last: { readonly name: DomainName; readonly offset: number } | undefined;

  get length(): number {
    return this.#length;
  }

  /** A copy, as long as what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Takes back all from `length` on. */
  cut(length: number): void {
    this.#length = length;
    this.#last = undefined;
    // What is written after this, if anything, is not compressed: simpler than to know what is left.
    this.#tails = undefined;
  }

  uint16(value: number): void {
    this.#grow(2);
    this.#bytes[this.#length++] = (value >> 8) & 0xff;
    this.#bytes[this.#length++] = value & 0xff;
  }

  uint32(value: number): void {
    this.uint16(Math.floor(value / 0x1_0000));
    this.uint16(value % 0x1_0000);
  }

  patchUint16(offset: number, value: number): void {
    this.#bytes[offset] = (value >> 8) & 0xff;
    this.#bytes[offset + 1] = value & 0xff;
  }

  raw(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A length byte and at most 255 characters, one byte each. */
  text(text: string): void {
    const { length } = text;
    this.#grow(length + 1);
    this.#bytes[this.#length++] = length;
    for (let i = 0; i < length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  /** The name, with a pointer in place of the longest tail that stands in the message already. */
  name(name: DomainName): void {
    if (this.#last?.name === name) {
      this.uint16(0xc000 | this.#last.offset);
      return;
    }
    if (this.#length < 0x4000 && name.length > 0) this.#last = { name, offset: this.#length };
    let known: Tail | undefined;
    let left = name.length;
    for (; left > 0; left--) {
      const longer = tailOf(known === undefined ? this.#tails : known.longer, name[left - 1]);
      if (longer === undefined) break;
      known = longer;
    }
    const start = this.#length;
    for (let i = 0; i < left; i++) this.text(name[i] ?? "");
    this.#noteTails(name, left, known, start);
    if (known === undefined) this.raw(ROOT);
    else this.uint16(0xc000 | known.offset);
  }

  /** The labels before `end` were written from `start` on, and are to be found behind `tail`. */
  #noteTails(name: DomainName, end: number, tail: Tail | undefined, start: number): void {
    let offset = start;
    for (let i = 0; i < end; i++) offset += (name[i] ?? "").length + 1;
    let shorter = tail;
    for (let i = end - 1; i >= 0; i--) {
      const label = name[i] ?? "";
      offset -= label.length + 1;
      // A pointer has 14 bits.
      if (offset >= 0x4000) return;
      const added: Tail = {
        label,
        offset,
        longer: undefined,
        next: shorter === undefined ? this.#tails : shorter.longer,
      };
      if (shorter === undefined) this.#tails = added;
      else shorter.longer = added;
      shorter = added;
    }
  }

  fullName(name: DomainName): void {
    for (const label of name) this.text(label);
    this.raw(ROOT);
  }

  address(address: IpAddress): void {
    if (ipFamilyOf(address) === "IPv6") {
      this.raw(ipToBytes(address));
      return;
    }
    // By hand: large Services have thousands.
    this.#grow(4);
    let octet = 0;
    for (let i = 0; i < address.length; i++) {
      const c = address.charCodeAt(i);
      if (c === DOT) {
        this.#bytes[this.#length++] = octet;
        octet = 0;
      } else {
        octet = 10 * octet + (c - DIGIT_ZERO);
      }
    }
    this.#bytes[this.#length++] = octet;
  }

  #grow(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

function tailOf(first: Tail | undefined, label: string | undefined): Tail | undefined {
  let tail = first;
  for (let i = 0; tail !== undefined && i < MAX_COMPARED; i++, tail = tail.next) {
    if (tail.label === label) return tail;
  }
  return undefined;
}

/** Names with the same end that are looked through, latest first: a zone has thousands, and none must be compressed. */
const MAX_COMPARED = 32;
const ROOT = Uint8Array.of(0);
const NO_OPTIONS = new Uint8Array();
const DOT = 0x2e;
const DIGIT_ZERO = 0x30;
