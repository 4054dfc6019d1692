import { ipToBytes } from "../../net/address.ts";
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
      writer.raw(ipToBytes(data.address));
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
  const block = message.edns?.padToBytes;
  if (block === undefined || writer.length + 6 > maxBytes) {
    writer.uint16(0);
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

/** Bytes that grow, and where in them which name stands. */
class MessageWriter {
  #bytes = new Uint8Array(512);
  #length = 0;
  /** Offsets of names by their wire text, exact in case, so that a pointer never changes a name's case. */
  readonly #offsets = new Map<string, number>();
  /** The whole name written last: most records of an answer have the same owner. */
  #last: { readonly name: DomainName; readonly offset: number } | undefined;

  get length(): number {
    return this.#length;
  }

  /** A copy, as long as what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Takes back all from `length` on. Names written there must not be written again after it. */
  cut(length: number): void {
    this.#length = length;
    this.#last = undefined;
    for (const [name, offset] of this.#offsets) if (offset >= length) this.#offsets.delete(name);
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
    const tails: string[] = [];
    let tail = "";
    for (let i = name.length - 1; i >= 0; i--) {
      const label = name[i] ?? "";
      tail = String.fromCharCode(label.length) + label + tail;
      tails[i] = tail;
    }
    for (const [i, label] of name.entries()) {
      const key = tails[i] ?? "";
      const known = this.#offsets.get(key);
      if (known !== undefined) {
        this.uint16(0xc000 | known);
        return;
      }
      // A pointer has 14 bits.
      if (this.#length < 0x4000) this.#offsets.set(key, this.#length);
      this.text(label);
    }
    this.raw(ROOT);
  }

  fullName(name: DomainName): void {
    for (const label of name) this.text(label);
    this.raw(ROOT);
  }

  #grow(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

const ROOT = Uint8Array.of(0);
