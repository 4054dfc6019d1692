import {
  BODY_WORDS,
  BUCKET_WORDS,
  CONTROL,
  DEPENDENCY_WORDS,
  RECORD,
  SHAPE,
  SLOT_WORDS,
  bucketOf,
  foldWord,
  hashEnd,
  hashStart,
  hashStep,
  nameWords,
} from "./answer-memory.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import { EDNS_UDP_BYTES, PLAIN_UDP_BYTES } from "./message.ts";

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
/** Of a message's first word: all but the number, RD, AD and CD. */
const UNUSUAL = 0xcffe_0000 | 0;
/** The number, RD and CD, which stay the question's. */
const KEPT = 0x1001_ffff;
/** QR and RA. */
const ANSWERED = 0x8080_0000 | 0;
const TRUNCATED = 0x0002_0000;
/** The counts of a message's last two words of the header: one question, and one OPT. */
const ONE_QUESTION = 0x0000_0100;
const ONE_ADDITIONAL = 0x0100_0000;

/**
 * The reading side of {@link AnswerMemory}: answers messages where they stand, without making objects. What it
 * does not know, or not know how to answer, it leaves alone: that is somebody else's.
 *
 * It reads shared memory without `Atomics`, whose calls would take a good part of its time. Processors keep loads in
 * order whose address comes from an earlier one, so that a record is never older than the offset it was found by.
 * That a change is seen by whoever asks after it takes one `Atomics` operation of the caller's between the arrival
 * of questions and their answers.
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
  readonly #slots: Int32Array;
  readonly #words: Int32Array;
  readonly #key = new Int32Array(64);
  readonly #seed: number;

  /** `packets` holds the messages; each has room for at least 1232 bytes, and three more. */
  constructor(memory: AnswerMemory, packets: ArrayBuffer) {
    this.#packets = new Uint8Array(packets);
    this.#packetWords = new Int32Array(packets);
    this.#control = new Int32Array(memory.control);
    this.#generations = new Int32Array(memory.generations);
    this.#slots = new Int32Array(memory.slots);
    this.#words = new Int32Array(memory.arena);
    this.#seed = this.#control[CONTROL.seed] ?? 0;
  }

  /**
   * Makes the message of `length` bytes at `start`, a multiple of 4, the answer to itself.
   * @param rotation any whole number from 0: which of several records come first.
   * @returns the answer's length; 0 when the message was left as it was.
   */
  answer(start: number, length: number, rotation: number): number {
    const packets = this.#packets;
    const header = start >>> 2;
    const name = start + HEADER_BYTES;
    const end = start + length;
    // A plain question: RD, AD and CD may be set, and there is one question, with OPT behind it or without.
    if (length < HEADER_BYTES + 5) return 0;
    if (((this.#packetWords[header] ?? 0) & UNUSUAL) !== 0) return 0;
    if (this.#packetWords[header + 1] !== ONE_QUESTION) return 0;
    const counts = this.#packetWords[header + 2];
    if (counts !== 0 && counts !== ONE_ADDITIONAL) return 0;
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
    const type = ((packets[root + 1] ?? 0) << 8) | (packets[root + 2] ?? 0);
    const at = this.#find(name, root + 1 - name, type);
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
    const rcode = (this.#packetWords[start >>> 2] ?? 0) & 0x0f00_0000;
    this.#writeHeader(start, rcode, 1 << 24, this.#optBytes);
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

  /** The record for the question that is true now; 0 for none. */
  #find(name: number, nameBytes: number, type: number): number {
    const packetWords = this.#packetWords;
    const folded = this.#key;
    const from = name >>> 2;
    const length = nameWords(nameBytes);
    const key = nameBytes | (type << 8);
    let hash = hashStart(key, this.#seed);
    let differences = 0;
    // The last word has at least the root's byte, which is 0 as what is behind the name in a key.
    const last = length - 1;
    for (let i = 0; i < last; i++) {
      const word = packetWords[from + i] ?? 0;
      const small = foldWord(word);
      differences |= word ^ small;
      hash = hashStep(hash, small);
      folded[i] = small;
    }
    const word = (packetWords[from + last] ?? 0) & (-1 >>> (8 * (4 * length - nameBytes)));
    const small = foldWord(word);
    differences |= word ^ small;
    hash = hashEnd(hashStep(hash, small));
    folded[last] = small;
    const slots = this.#slots;
    const bucket = bucketOf(hash, slots.length);
    for (let slot = bucket; slot < bucket + BUCKET_WORDS; slot += SLOT_WORDS) {
      if (slots[slot] !== hash) continue;
      const at = slots[slot + 1] ?? 0;
      if (at !== 0 && this.#isFor(at, key, length)) return this.#use(at, differences !== 0);
    }
    return 0;
  }

  /** Whether a record is for the question whose name is in the key. */
  #isFor(at: number, key: number, length: number): boolean {
    const words = this.#words;
    if (words[at + RECORD.key] !== key) return false;
    const name = at + RECORD.head + DEPENDENCY_WORDS * ((words[at + RECORD.shape] ?? 0) >>> 8);
    for (let i = 0; i < length; i++) if (words[name + i] !== this.#key[i]) return false;
    return true;
  }

  /** @returns the record, when it is true and may be used for a name with capital letters, or without; else 0. */
  #use(at: number, hasCapitals: boolean): number {
    const words = this.#words;
    const shape = words[at + RECORD.shape] ?? 0;
    if (hasCapitals && (shape & SHAPE.onlyLowerCase) !== 0) return 0;
    const first = at + RECORD.head;
    for (let i = first; i < first + DEPENDENCY_WORDS * (shape >>> 8); i += DEPENDENCY_WORDS) {
      if (this.#generations[words[i] ?? 0] !== words[i + 1]) return 0;
    }
    const uses = words[at + RECORD.uses] ?? 0;
    if (uses === 0) return 0;
    // Readers may both count from the same number: it is not meant to be exact.
    if (uses > 0) words[at + RECORD.uses] = uses - 1;
    return at;
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
    const turn = count === 1 || (shape & SHAPE.fixed) !== 0 ? 0 : rotation % count;
    let end = question;
    let counts = 0;
    if ((shape & SHAPE.bodies) === 0) {
      const unit = words[at + RECORD.unit] ?? 0;
      const fitting = count * unit <= room ? count : Math.floor(room / unit);
      const head = Math.min(fitting, count - turn);
      // Each record has whole words, so that the next one ends at the same byte of one.
      this.#copy(content + ((turn * unit) >>> 2), end, head * unit);
      if (head < fitting) this.#copy(content, end + head * unit, (fitting - head) * unit);
      end += fitting * unit;
      counts = fitting | (fitting < count ? 1 << 24 : 0);
    } else {
      const isPlain = optBytes === 0 && (shape & SHAPE.sharedBodies) === 0;
      const body = content + BODY_WORDS * (turn + (isPlain ? count : 0));
      const bytes = words[body + 1] ?? 0;
      counts = words[body + 2] ?? 0;
      if (bytes > room) return 0;
      // A body was cut for 1232 bytes: who takes fewer may have to be sent fewer records, but not more.
      this.#copy(words[body] ?? 0, end, bytes);
      const serialAt = words[at + RECORD.serialAt] ?? -1;
      if (serialAt >= 0) this.#writeSerial(end + serialAt);
      end += bytes;
    }
    this.#writeHeader(start, words[at + RECORD.flags] ?? 0, counts, optBytes);
    if (optBytes !== 0) this.#writeOpt(end);
    return end + optBytes - start;
  }

  /** Bytes that begin in the word `from` where `to` is in its own. Up to three bytes behind them change as well. */
  #copy(from: number, to: number, bytes: number): void {
    const packetWords = this.#packetWords;
    const words = this.#words;
    const first = to >>> 2;
    const last = (to + bytes + 3) >>> 2;
    const kept = (1 << (8 * (to & 3))) - 1;
    const before = (packetWords[first] ?? 0) & kept;
    for (let word = first; word < last; word++) {
      packetWords[word] = words[from + word - first] ?? 0;
    }
    packetWords[first] = ((packetWords[first] ?? 0) & ~kept) | before;
  }

  #writeSerial(at: number): void {
    const serial = this.#control[CONTROL.serial] ?? 0;
    this.#packets[at] = serial >>> 24;
    this.#packets[at + 1] = serial >>> 16;
    this.#packets[at + 2] = serial >>> 8;
    this.#packets[at + 3] = serial;
  }

  /** `flags` as a record has them, `counts` as a body. */
  #writeHeader(start: number, flags: number, counts: number, optBytes: number): void {
    const packetWords = this.#packetWords;
    const header = start >>> 2;
    const own = ANSWERED | flags | (counts >>> 24 === 0 ? 0 : TRUNCATED);
    packetWords[header] = ((packetWords[header] ?? 0) & KEPT) | own;
    packetWords[header + 1] = ONE_QUESTION | (counts << 24);
    const additional = (counts << 8) & 0xff00_0000;
    packetWords[header + 2] =
      (additional + (optBytes === 0 ? 0 : ONE_ADDITIONAL)) | (counts & 0xff00);
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
