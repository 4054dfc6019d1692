import {
  BODY_WORDS,
  BUCKET_WORDS,
  CONTROL,
  DEPENDENCY_WORDS,
  GENERATIONS,
  RECORD,
  SEGMENTS,
  SHAPE,
  SLOT_WORDS,
  bodyShift,
  bodyWords,
  bucketOf,
  hashName,
  nameWords,
} from "./answer-memory.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import type { AnswerBody, CompiledAnswer } from "./compiled-answer.ts";
import type { Dirty } from "./dns-index.ts";
import { foldName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";

/** Of an answer whose orders are not all held: so often it is used before others take their turn. */
const PARTIAL_USES = 4096;
/** An answer made from more than this depends on every change. */
const MAX_DEPENDENCIES = 4;
/** The place that each change counts at. */
const ANY_CHANGE = 0;
/** A place that no change counts at. */
const NO_OBJECT = 1;

export interface PutOptions {
  /** What it was made from: what the index said was read. */
  readonly reads: Iterable<Dirty>;
  /** A number of the caller's that readers count its uses by. */
  readonly series: number;
}

/** The writing side of {@link AnswerMemory}: one a memory. */
export class AnswerTable {
  readonly #control: Int32Array;
  readonly #generations: Int32Array;
  readonly #slots: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #segmentWords: number;
  readonly #key = new Int32Array(64);
  #segment = 0;
  /** Where the next record goes. Offset 0 stands for no record. */
  #end = 1;
  /** How far each segment was written. */
  readonly #ends: number[] = Array.from({ length: SEGMENTS }, () => 0);
  /** The readers' counters when the next segment was unlinked. */
  #seenAtUnlink: readonly number[] = [];
  #hasWrapped = false;

  constructor(memory: AnswerMemory) {
    this.#control = new Int32Array(memory.control);
    this.#generations = new Int32Array(memory.generations);
    this.#slots = new Int32Array(memory.slots);
    this.#words = new Int32Array(memory.arena);
    this.#bytes = new Uint8Array(memory.arena);
    this.#segmentWords = Math.floor(this.#words.length / SEGMENTS);
  }

  /** Whether answers were already forgotten for want of room. */
  get isFull(): boolean {
    return this.#hasWrapped;
  }

  set serial(serial: number) {
    Atomics.store(this.#control, CONTROL.serial, serial | 0);
  }

  /** Makes every answer void that was made from this. */
  invalidate(dirty: Dirty): void {
    Atomics.add(this.#generations, placeOf(dirty), 1);
    Atomics.add(this.#generations, ANY_CHANGE, 1);
  }

  /** Makes every answer void. */
  clear(): void {
    for (let place = 0; place < GENERATIONS; place++) Atomics.add(this.#generations, place, 1);
  }

  /**
   * Looks for the answer to a question; the name need not be folded.
   * @returns the number that the question is found by; undefined when there is an answer that is true now.
   */
  find(name: DomainName, type: number): number | undefined {
    const nameBytes = this.#writeKey(foldName(name));
    const hash = this.#hash(nameBytes, type);
    const bucket = bucketOf(hash, this.#slots.length);
    for (let slot = bucket; slot < bucket + BUCKET_WORDS; slot += SLOT_WORDS) {
      const at = this.#slots[slot + 1] ?? 0;
      if (at !== 0 && this.#slots[slot] === hash && this.#isCurrent(at)) return undefined;
    }
    return hash;
  }

  /**
   * Puts in an answer that was made just now: nothing may have changed since it was.
   * @returns false when there is no room before all readers have gone on, or it is too long.
   */
  put(compiled: CompiledAnswer, { reads, series }: PutOptions): boolean {
    const nameBytes = this.#writeKey(compiled.name);
    const hash = this.#hash(nameBytes, compiled.type);
    const places = new Set(Array.from(reads, placeOf));
    const dependencies = places.size > MAX_DEPENDENCIES ? [ANY_CHANGE] : [...places];
    // What is made from nothing, such as the answer for localhost, is void when everything is.
    if (dependencies.length === 0) dependencies.push(NO_OBJECT);
    const at = this.#reserve(
      RECORD.head +
        DEPENDENCY_WORDS * dependencies.length +
        nameWords(nameBytes) +
        formWords(compiled, bodyShift(nameBytes)),
    );
    if (at === undefined) return false;
    const words = this.#words;
    words[at + RECORD.hash] = hash;
    words[at + RECORD.key] = nameBytes | (compiled.type << 8);
    words[at + RECORD.words] = this.#end - at;
    words[at + RECORD.flags] = (compiled.authoritative ? 0x0004_0000 : 0) | (compiled.rcode << 24);
    words[at + RECORD.series] = series;
    words[at + RECORD.uses] = compiled.isPartial ? PARTIAL_USES : -1;
    let position = at + RECORD.head;
    for (const place of dependencies) {
      words[position] = place;
      words[position + 1] = Atomics.load(this.#generations, place);
      position += DEPENDENCY_WORDS;
    }
    words.set(this.#key.subarray(0, nameWords(nameBytes)), position);
    position += nameWords(nameBytes);
    const shape = this.#writeForm(compiled, at, position, bodyShift(nameBytes));
    words[at + RECORD.shape] =
      shape |
      (compiled.isOnlyLowerCase ? SHAPE.onlyLowerCase : 0) |
      (compiled.isFixed ? SHAPE.fixed : 0) |
      (dependencies.length << 8);
    this.#link(hash, at);
    return true;
  }

  #isCurrent(at: number): boolean {
    if (this.#words[at + RECORD.uses] === 0) return false;
    const end = at + RECORD.head + DEPENDENCY_WORDS * ((this.#words[at + RECORD.shape] ?? 0) >>> 8);
    for (let i = at + RECORD.head; i < end; i += DEPENDENCY_WORDS) {
      const place = this.#words[i] ?? 0;
      if (this.#generations[place] !== this.#words[i + 1]) return false;
    }
    return true;
  }

  #writeForm({ form }: CompiledAnswer, at: number, start: number, shift: number): number {
    const words = this.#words;
    if (form.kind === "rotated") {
      words[at + RECORD.serialAt] = -1;
      words[at + RECORD.count] = form.count;
      words[at + RECORD.unit] = form.unit;
      this.#bytes.set(form.bytes, 4 * start + shift);
      return 0;
    }
    words[at + RECORD.serialAt] = form.serialAt ?? -1;
    words[at + RECORD.count] = form.large.length;
    words[at + RECORD.unit] = 0;
    const lists = form.plain === form.large ? [form.large] : [form.large, form.plain];
    let position = start;
    let content = start + BODY_WORDS * lists.length * form.large.length;
    for (const body of lists.flat()) {
      words[position] = content;
      words[position + 1] = body.bytes.length;
      words[position + 2] = countsOf(body);
      position += BODY_WORDS;
      this.#bytes.set(body.bytes, 4 * content + shift);
      content += bodyWords(shift, body.bytes.length);
    }
    return SHAPE.bodies | (lists.length === 1 ? SHAPE.sharedBodies : 0);
  }

  /** Makes a record the one that is found: in the place of an older one of this name, or of any. */
  #link(hash: number, at: number): void {
    const slots = this.#slots;
    const bucket = bucketOf(hash, slots.length);
    let chosen = bucket + ((at * SLOT_WORDS) & (BUCKET_WORDS - 1));
    for (let slot = bucket + BUCKET_WORDS - SLOT_WORDS; slot >= bucket; slot -= SLOT_WORDS) {
      if (slots[slot + 1] === 0) chosen = slot;
    }
    for (let slot = bucket; slot < bucket + BUCKET_WORDS; slot += SLOT_WORDS) {
      if (slots[slot + 1] !== 0 && slots[slot] === hash) chosen = slot;
    }
    Atomics.store(slots, chosen + 1, 0);
    slots[chosen] = hash;
    Atomics.store(slots, chosen + 1, at);
  }

  #reserve(wanted: number): number | undefined {
    if (wanted >= this.#segmentWords) return undefined;
    if (this.#end + wanted > (this.#segment + 1) * this.#segmentWords && !this.#nextSegment()) {
      return undefined;
    }
    const at = this.#end;
    this.#end += wanted;
    this.#ends[this.#segment] = this.#end;
    return at;
  }

  /** The next segment was unlinked when this one was begun; now the one behind it is. */
  #nextSegment(): boolean {
    const isStillRead = this.#seenAtUnlink.some(
      (count, i) => count % 2 !== 0 && Atomics.load(this.#control, CONTROL.readers + i) === count,
    );
    if (isStillRead) return false;
    this.#segment = (this.#segment + 1) % SEGMENTS;
    this.#end = Math.max(1, this.#segment * this.#segmentWords);
    const next = (this.#segment + 1) % SEGMENTS;
    this.#unlink(next);
    this.#seenAtUnlink = Array.from({ length: this.#control.length - CONTROL.readers }, (_, i) =>
      Atomics.load(this.#control, CONTROL.readers + i),
    );
    return true;
  }

  #unlink(segment: number): void {
    const end = this.#ends[segment] ?? 0;
    if (end === 0) return;
    this.#hasWrapped = true;
    let at = Math.max(1, segment * this.#segmentWords);
    while (at < end) {
      const bucket = bucketOf(this.#words[at + RECORD.hash] ?? 0, this.#slots.length);
      for (let slot = bucket; slot < bucket + BUCKET_WORDS; slot += SLOT_WORDS) {
        if (this.#slots[slot + 1] === at) Atomics.store(this.#slots, slot + 1, 0);
      }
      at += this.#words[at + RECORD.words] ?? end;
    }
    this.#ends[segment] = 0;
  }

  #hash(nameBytes: number, type: number): number {
    const seed = this.#control[CONTROL.seed] ?? 0;
    return hashName(this.#key, nameWords(nameBytes), nameBytes | (type << 8), seed);
  }

  /** @returns how many bytes the name has. */
  #writeKey(name: DomainName): number {
    const bytes = new Uint8Array(this.#key.buffer);
    this.#key.fill(0);
    let position = 0;
    for (const label of name) {
      bytes[position++] = label.length;
      for (let i = 0; i < label.length; i++) bytes[position++] = label.charCodeAt(i);
    }
    return position + 1;
  }
}

function formWords({ form }: CompiledAnswer, shift: number): number {
  if (form.kind === "rotated") return bodyWords(shift, form.bytes.length);
  const bodies = form.plain === form.large ? form.large : [...form.large, ...form.plain];
  return bodies.reduce((sum, { bytes }) => sum + BODY_WORDS + bodyWords(shift, bytes.length), 0);
}

function countsOf({ answers, authority, additional, truncated }: AnswerBody): number {
  return answers | (authority << 8) | (additional << 16) | (truncated ? 1 << 24 : 0);
}

function placeOf(dirty: Dirty): number {
  switch (dirty.kind) {
    case "service":
      return placeOfText(1, dirty.key);
    case "namespace":
      return placeOfText(2, dirty.name);
    case "address":
      return placeOfText(3, dirty.address);
  }
}

/** FNV-1a; never one of the places that are no object's. */
function placeOfText(kind: number, text: string): number {
  let hash = 0x811c9dc5 ^ kind;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return 2 + (((hash ^ (hash >>> 16)) >>> 0) % (GENERATIONS - 2));
}
