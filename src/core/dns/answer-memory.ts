/**
 * Memory that compiled answers are kept in, shared between one writer and several readers, each in a thread of
 * its own. Nothing in it is ever locked:
 * - A record is written once and not changed while anybody may read it; it becomes visible when its offset is
 *   stored.
 * - A record names what it was made from by places in `generations`, and what these said when it was made. A
 *   change adds one there, so that all answers made from what changed are void at once. Two things may share a
 *   place: then more is made anew than had to be.
 * - Space is taken in segments, in a ring. The oldest is unlinked long before it is written to again, and that
 *   only after each reader has been between two batches.
 *
 * Numbers are written and read through views of the machine's own byte order, which must be little-endian.
 */
export interface AnswerMemory {
  /** See {@link CONTROL}; then a counter for each reader. */
  readonly control: SharedArrayBuffer;
  readonly generations: SharedArrayBuffer;
  /**
   * Pairs of words: a hash, so that a record is read only when it is likely the right one, and the record's word offset,
   * 0 for none. A bucket of them is as long as a line of the processor's cache.
   */
  readonly slots: SharedArrayBuffer;
  readonly arena: SharedArrayBuffer;
}

export const CONTROL = {
  /** The zone's serial number. */
  serial: 0,
  /** Not 0: readers end. */
  stop: 1,
  /** Questions that were passed on, and are not answered yet. */
  passedOn: 2,
  /** Mixed into hashes, so that nobody outside can choose names that collide. */
  seed: 3,
  /** The first reader's counter: odd while it works on a batch. */
  readers: 4,
} as const;

export const GENERATIONS = 65_536;
/** Of a bucket, whose slots are tried one after the other. */
const WAYS = 8;
export const SLOT_WORDS = 2;
export const BUCKET_WORDS = WAYS * SLOT_WORDS;
export const SEGMENTS = 32;

/** Words of a record before its variable parts: dependencies, name, and the form's own. */
export const RECORD = {
  hash: 0,
  /** Name's bytes, and the type above the eighth bit. */
  key: 1,
  /** All words of the record. */
  words: 2,
  /** See {@link SHAPE}; the number of dependencies above the eighth bit. */
  shape: 3,
  /** AA and the code, where the first word of a message has them. */
  flags: 4,
  series: 5,
  /** How often it may still be used; below 0 without bound. Readers count it down. */
  uses: 6,
  /** Where the serial number stands in a body; -1 for nowhere. */
  serialAt: 7,
  /** Records, or bodies of each list. */
  count: 8,
  /** Bytes of one record. */
  unit: 9,
  head: 10,
} as const;

export const SHAPE = { bodies: 1, onlyLowerCase: 2, sharedBodies: 4, fixed: 8 } as const;

/**
 * A dependency: place in `generations`, and what it said. A body: word offset in the arena, length in bytes, and its
 * counts: answers, authority, additional records, a byte each, and whether it is truncated.
 *
 * What is copied into a message begins in its word at the byte at which the question ends in one of the message's
 * words, see {@link bodyShift}: so it is copied by words.
 */
export const DEPENDENCY_WORDS = 2;
export const BODY_WORDS = 3;

export interface AnswerMemoryOptions {
  /** Of answers; a multiple of 4096. */
  readonly arenaBytes: number;
  /** How many answers can be found at most; a power of two, at least {@link WAYS}. */
  readonly slots: number;
  readonly readers: number;
  /** Any number of 32 bits that is not to be guessed. */
  readonly seed: number;
}

/** Pages that nothing was written to take no room. */
export function createAnswerMemory(options: AnswerMemoryOptions): AnswerMemory {
  const { arenaBytes, slots, readers, seed } = options;
  const memory = {
    control: new SharedArrayBuffer(4 * (CONTROL.readers + readers)),
    generations: new SharedArrayBuffer(4 * GENERATIONS),
    slots: new SharedArrayBuffer(4 * SLOT_WORDS * slots),
    arena: new SharedArrayBuffer(arenaBytes),
  };
  new Int32Array(memory.control)[CONTROL.seed] = seed;
  return memory;
}

/** Makes the letters A to Z among the four bytes of a word small, and nothing else. */
export function foldWord(word: number): number {
  const low = word & 0x7f7f7f7f;
  // Bit 7 of a byte: is at least "A", and is beyond "Z".
  const letters = ((low + 0x3f3f3f3f) ^ (low + 0x25252525)) & ~word & 0x80808080;
  return word | (letters >>> 2);
}

/** Of `words[0..length)`, which hold the folded name. */
export function hashName(words: Int32Array, length: number, key: number, seed: number): number {
  let hash = hashStart(key, seed);
  for (let i = 0; i < length; i++) hash = hashStep(hash, words[i] ?? 0);
  return hashEnd(hash);
}

/** {@link hashName} piece by piece, for whoever has no array of the name. */
export function hashStart(key: number, seed: number): number {
  return seed ^ Math.imul(key, 0x9e3779b1);
}

export function hashStep(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

export function hashEnd(hash: number): number {
  const mixed = Math.imul(hash, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The first word of the bucket that a hash belongs to, of so many words in all. */
export function bucketOf(hash: number, allWords: number): number {
  return Math.imul(hash, BUCKET_WORDS) & (allWords - 1);
}

/** Bytes before a body in its first word: a question ends 16 bytes and the name's behind a message's start. */
export function bodyShift(nameBytes: number): number {
  return nameBytes & 3;
}

/** Words that a body of so many bytes takes. */
export function bodyWords(shift: number, bytes: number): number {
  return (shift + bytes + 3) >>> 2;
}

/** Words that a name of so many bytes takes. */
export function nameWords(nameBytes: number): number {
  return (nameBytes + 3) >>> 2;
}
