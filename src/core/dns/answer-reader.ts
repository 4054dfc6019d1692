import {
  BODY_WORDS,
  CONTROL,
  DEPENDENCY_WORDS,
  RECORD,
  SHAPE,
  WAYS,
  bucketOf,
  foldWord,
  hashName,
  nameWords,
} from "./answer-memory.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import { EDNS_UDP_BYTES, PLAIN_UDP_BYTES } from "./message.ts";

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
/** Shorter pieces are copied faster by hand than by a call. */
const SHORT_BYTES = 96;

/**
 * The reading side of {@link AnswerMemory}: answers messages where they stand, without making objects. What it
 * does not know, or not know how to answer, it leaves alone: that is somebody else's.
 */
export class AnswerReader {
  /** Of the answer given last: the number it was put in with. */
  series = 0;
  /** Whether the question answered last wants signatures (DO). */
  dnssecOk = false;
  /** Of the answer given last: where its question ends, and how long its OPT is. */
  #questionEnd = 0;
  #optBytes = 0;
  readonly #packets: Uint8Array;
  readonly #packetWords: Int32Array;
  readonly #control: Int32Array;
  readonly #generations: Int32Array;
  readonly #hashes: Int32Array;
  readonly #offsets: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #key = new Int32Array(64);
  readonly #seed: number;

  /** `packets` holds the messages; each has room for at least 1232 bytes. */
  constructor(memory: AnswerMemory, packets: ArrayBuffer) {
    this.#packets = new Uint8Array(packets);
    this.#packetWords = new Int32Array(packets);
    this.#control = new Int32Array(memory.control);
    this.#generations = new Int32Array(memory.generations);
    this.#hashes = new Int32Array(memory.hashes);
    this.#offsets = new Int32Array(memory.offsets);
    this.#words = new Int32Array(memory.arena);
    this.#bytes = new Uint8Array(memory.arena);
    this.#seed = this.#control[CONTROL.seed] ?? 0;
  }

  /**
   * Makes the message of `length` bytes at `start`, a multiple of 4, the answer to itself.
   * @param rotation any whole number from 0: which of several records come first.
   * @returns the answer's length; 0 when the message was left as it was.
   */
  answer(start: number, length: number, rotation: number): number {
    const packets = this.#packets;
    const name = start + HEADER_BYTES;
    const end = start + length;
    // A plain question: RD, AD and CD may be set, and there is one question, with OPT behind it or without.
    if (length < HEADER_BYTES + 5) return 0;
    if (((packets[start + 2] ?? 0) & 0xfe) !== 0 || ((packets[start + 3] ?? 0) & 0xcf) !== 0)
      return 0;
    if (this.#packetWords[(start >>> 2) + 1] !== 0x0000_0100) return 0;
    const counts = this.#packetWords[(start >>> 2) + 2];
    if (counts !== 0 && counts !== 0x0100_0000) return 0;
    let root = name;
    for (;;) {
      const label = packets[root] ?? 0;
      if (label === 0) break;
      root += label + 1;
      if (label > 63 || root - name > 254 || root >= end) return 0;
    }
    const question = root + 5;
    if (question > end || packets[root + 3] !== 0 || packets[root + 4] !== 1) return 0;
    let limit = PLAIN_UDP_BYTES;
    if (counts === 0) {
      if (question !== end) return 0;
      this.dnssecOk = false;
    } else {
      const udpBytes = this.#readOpt(question, end);
      if (udpBytes < 0) return 0;
      limit = Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, udpBytes));
    }
    const nameBytes = root + 1 - name;
    const type = ((packets[root + 1] ?? 0) << 8) | (packets[root + 2] ?? 0);
    const isMixed = this.#readKey(name, nameBytes);
    const at = this.#find(nameBytes, type, isMixed);
    if (at === 0) return 0;
    this.series = this.#words[at + RECORD.series] ?? 0;
    const optBytes = counts === 0 ? 0 : OPT_BYTES;
    this.#questionEnd = question;
    this.#optBytes = optBytes;
    return this.#write(at, start, question, limit - optBytes, optBytes, rotation);
  }

  /**
   * Makes the answer given last, which is at `start`, one without records that says to ask over TCP.
   * @returns its length.
   */
  truncate(start: number): number {
    const rcode = (this.#packets[start + 3] ?? 0) & 0x0f;
    this.#writeHeader(start, rcode, 1 << 24, this.#optBytes === 0 ? 0 : 1);
    if (this.#optBytes !== 0) this.#writeOpt(this.#questionEnd);
    return this.#questionEnd + this.#optBytes - start;
  }

  /** @returns what the sender takes; -1 when this is not exactly one well-formed OPT of version 0. */
  #readOpt(at: number, end: number): number {
    const packets = this.#packets;
    if (at + OPT_BYTES > end) return -1;
    if (packets[at] !== 0 || packets[at + 1] !== 0 || packets[at + 2] !== 41) return -1;
    if (packets[at + 5] !== 0 || packets[at + 6] !== 0) return -1;
    const optionBytes = ((packets[at + 9] ?? 0) << 8) | (packets[at + 10] ?? 0);
    if (at + OPT_BYTES + optionBytes !== end) return -1;
    let option = at + OPT_BYTES;
    while (option + 4 <= end) {
      option += 4 + (((packets[option + 2] ?? 0) << 8) | (packets[option + 3] ?? 0));
    }
    if (option !== end) return -1;
    this.dnssecOk = ((packets[at + 7] ?? 0) & 0x80) !== 0;
    return ((packets[at + 3] ?? 0) << 8) | (packets[at + 4] ?? 0);
  }

  /** Folds the name into the key. @returns whether it has capital letters. */
  #readKey(name: number, nameBytes: number): boolean {
    const from = name >>> 2;
    const full = nameBytes >>> 2;
    let differences = 0;
    for (let i = 0; i < full; i++) {
      const word = this.#packetWords[from + i] ?? 0;
      const folded = foldWord(word);
      differences |= word ^ folded;
      this.#key[i] = folded;
    }
    const rest = nameBytes & 3;
    if (rest !== 0) {
      const word = (this.#packetWords[from + full] ?? 0) & (0xffff_ffff >>> (32 - 8 * rest));
      const folded = foldWord(word);
      differences |= word ^ folded;
      this.#key[full] = folded;
    }
    return differences !== 0;
  }

  /** The record for the key that is true now; 0 for none. */
  #find(nameBytes: number, type: number, isMixed: boolean): number {
    const length = nameWords(nameBytes);
    const key = nameBytes | (type << 8);
    const hash = hashName(this.#key, length, key, this.#seed);
    const bucket = bucketOf(hash, this.#offsets.length);
    for (let slot = bucket; slot < bucket + WAYS; slot++) {
      if (this.#hashes[slot] !== hash) continue;
      const at = Atomics.load(this.#offsets, slot);
      if (at === 0 || this.#words[at + RECORD.key] !== key) continue;
      const shape = this.#words[at + RECORD.shape] ?? 0;
      const dependencies = at + RECORD.head;
      const names = dependencies + DEPENDENCY_WORDS * (shape >>> 8);
      if (!this.#isName(names, length)) continue;
      if (!this.#isCurrent(dependencies, names)) return 0;
      if (isMixed && (shape & SHAPE.onlyLowerCase) !== 0) return 0;
      const uses = this.#words[at + RECORD.uses] ?? 0;
      if (uses === 0) return 0;
      // Readers may both count from the same number: it is not meant to be exact.
      if (uses > 0) this.#words[at + RECORD.uses] = uses - 1;
      return at;
    }
    return 0;
  }

  #isName(at: number, length: number): boolean {
    for (let i = 0; i < length; i++) if (this.#words[at + i] !== this.#key[i]) return false;
    return true;
  }

  #isCurrent(from: number, to: number): boolean {
    for (let at = from; at < to; at += DEPENDENCY_WORDS) {
      const now = Atomics.load(this.#generations, this.#words[at] ?? 0);
      if (now !== this.#words[at + 1]) return false;
    }
    return true;
  }

  /** @returns the answer's length; 0 when none that is held fits. */
  #write(
    at: number,
    start: number,
    question: number,
    limit: number,
    optBytes: number,
    rotation: number,
  ): number {
    const words = this.#words;
    const shape = words[at + RECORD.shape] ?? 0;
    const count = words[at + RECORD.count] ?? 0;
    const content =
      at +
      RECORD.head +
      DEPENDENCY_WORDS * (shape >>> 8) +
      nameWords((words[at + RECORD.key] ?? 0) & 0xff);
    const room = limit - (question - start);
    let end = question;
    let counts = 0;
    if ((shape & SHAPE.bodies) === 0) {
      const unit = words[at + RECORD.unit] ?? 0;
      const fitting = Math.min(count, Math.floor(room / unit));
      const first = rotation % count;
      const head = Math.min(fitting, count - first);
      this.#copy(4 * content + first * unit, end, head * unit);
      this.#copy(4 * content, end + head * unit, (fitting - head) * unit);
      end += fitting * unit;
      counts = fitting | (fitting < count ? 1 << 24 : 0);
    } else {
      const isPlain = optBytes === 0 && (shape & SHAPE.sharedBodies) === 0;
      const body = content + BODY_WORDS * ((rotation % count) + (isPlain ? count : 0));
      const bytes = words[body + 1] ?? 0;
      counts = words[body + 2] ?? 0;
      if (bytes > room) return 0;
      // A body was cut for 1232 bytes: who takes fewer may have to be sent fewer records, but not more.
      this.#copy(words[body] ?? 0, end, bytes);
      const serialAt = words[at + RECORD.serialAt] ?? -1;
      if (serialAt >= 0) this.#writeSerial(end + serialAt);
      end += bytes;
    }
    this.#writeHeader(start, words[at + RECORD.flags] ?? 0, counts, optBytes === 0 ? 0 : 1);
    if (optBytes !== 0) this.#writeOpt(end);
    return end + optBytes - start;
  }

  #copy(from: number, to: number, length: number): void {
    if (length > SHORT_BYTES) {
      this.#packets.set(this.#bytes.subarray(from, from + length), to);
      return;
    }
    for (let i = 0; i < length; i++) this.#packets[to + i] = this.#bytes[from + i] ?? 0;
  }

  #writeSerial(at: number): void {
    const serial = Atomics.load(this.#control, CONTROL.serial);
    this.#packets[at] = serial >>> 24;
    this.#packets[at + 1] = serial >>> 16;
    this.#packets[at + 2] = serial >>> 8;
    this.#packets[at + 3] = serial;
  }

  /** QR and RA are set; the number, RD and CD stay the question's. */
  #writeHeader(start: number, flags: number, counts: number, opt: number): void {
    const packets = this.#packets;
    const truncated = counts >>> 24 === 0 ? 0 : 0x02;
    packets[start + 2] = 0x80 | (flags >>> 8) | truncated | ((packets[start + 2] ?? 0) & 0x01);
    packets[start + 3] = 0x80 | (flags & 0x0f) | ((packets[start + 3] ?? 0) & 0x10);
    packets[start + 7] = counts;
    packets[start + 9] = counts >>> 8;
    packets[start + 11] = ((counts >>> 16) & 0xff) + opt;
  }

  #writeOpt(at: number): void {
    const packets = this.#packets;
    packets[at] = 0;
    packets[at + 1] = 0;
    packets[at + 2] = 41;
    packets[at + 3] = EDNS_UDP_BYTES >>> 8;
    packets[at + 4] = EDNS_UDP_BYTES & 0xff;
    packets[at + 5] = 0;
    packets[at + 6] = 0;
    packets[at + 7] = this.dnssecOk ? 0x80 : 0;
    for (let i = 8; i < OPT_BYTES; i++) packets[at + i] = 0;
  }
}
