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
  /** Hashes, so that a record is read only when it is likely the right one. */
  readonly hashes: SharedArrayBuffer;
  /** Word offsets of records; 0 for none. Beside `hashes`. */
  readonly offsets: SharedArrayBuffer;
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
export const WAYS = 8;
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
  /** AA and the code, as in a header's flags. */
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

export const SHAPE = { bodies: 1, onlyLowerCase: 2, sharedBodies: 4 } as const;

/**
 * A dependency: place in `generations`, and what it said. A body: byte offset in the arena, length, and its
 * counts: answers, authority, additional records, a byte each, and whether it is truncated.
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
    hashes: new SharedArrayBuffer(4 * slots),
    offsets: new SharedArrayBuffer(4 * slots),
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
  let hash = seed ^ Math.imul(key, 0x9e3779b1);
  for (let i = 0; i < length; i++) {
    hash = Math.imul(hash ^ (words[i] ?? 0), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The first slot of the bucket that a hash belongs to. */
export function bucketOf(hash: number, slots: number): number {
  return (hash & (slots / WAYS - 1)) * WAYS;
}

/** Words that a name of so many bytes takes. */
export function nameWords(nameBytes: number): number {
  return (nameBytes + 3) >>> 2;
}
