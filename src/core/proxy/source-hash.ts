import { ipToBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Backend } from "./frontend.ts";
import { placeText } from "./place.ts";

/**
 * Consistent hashing by client: a client's address gives 16 bits, the lower ones of them a bucket, and each
 * bucket belongs to a backend. All of it depends on the backends' addresses alone, so that every node and data
 * plane gives a client the same backend, before and after a restart.
 */

/** Modulus of {@link clientHash}. */
export const CLIENT_HASHES = 65_536;
/** Any number; with another one all clients change their backends. */
export const CLIENT_HASH_SEED = 0x706f_7274;
/** One backend has 64 buckets. More have as many each, or more, up to 65,536 in all: shares differ by some 13 percent. */
export const MIN_LOG2_BUCKETS = 6;
/** Darts of a backend at each size. */
const DARTS = 16;
const MAX_LOG2 = 16;
/** Tables are asked for at each connection, but change only with the backends. */
const KNOWN = new WeakMap<readonly Backend[], readonly Backend[]>();

/**
 * The buckets of some backends: a power of two of them, empty without backends.
 *
 * Each backend throws darts at the circle of hashes, in an order and at places that depend on it alone, small ones
 * first, then ever larger ones; a bucket belongs to the backend whose dart is first there. So one backend more takes
 * its share from all others alike and moves nothing else, and one less gives up its own buckets only. When the
 * table doubles, at each power of two of backends, old buckets are halved, and only where one of the smaller darts
 * that the finer table shows hits a half (about an eighth of the whole) a client moves besides.
 */
export function hashBuckets(backends: readonly Backend[]): readonly Backend[] {
  const known = KNOWN.get(backends);
  if (known !== undefined) return known;
  const made = throwDarts(backends);
  KNOWN.set(backends, made);
  return made;
}

/** The backend of a client. @returns undefined without backends. */
export function hashedBackend(
  backends: readonly Backend[],
  client: IpAddress,
): Backend | undefined {
  const buckets = hashBuckets(backends);
  return buckets[clientHash(client) & (buckets.length - 1)];
}

/** A client's number in [0, {@link CLIENT_HASHES}), as nf_tables' `jhash ip saddr mod 65536 seed` computes it. */
export function clientHash(client: IpAddress): number {
  return jenkins(ipToBytes(client), CLIENT_HASH_SEED) >>> 16;
}

function throwDarts(backends: readonly Backend[]): readonly Backend[] {
  if (backends.length === 0) return [];
  const log2 = Math.min(MAX_LOG2, 32 - Math.clz32((backends.length << MIN_LOG2_BUCKETS) - 1));
  const size = 1 << log2;
  const owners = new Int32Array(size).fill(-1);
  const rounds = new Int32Array(size);
  const ties = new Uint32Array(size);
  const names = backends.map(nameHashes);
  let left = size;
  // Darts smaller than a bucket cannot be told apart here, and are left out for every backend alike.
  for (let round = DARTS * (MAX_LOG2 - log2); left > 0; round++) {
    const bits = Math.max(0, MAX_LOG2 - Math.floor(round / DARTS));
    for (const [i, [first, second]] of names.entries()) {
      const hash = mixed(mixed(first + Math.imul(round, 0x9e37_79b1)) ^ second);
      const tie = mixed(hash ^ 0x5bd1_e995);
      for (let at = hash & ((1 << bits) - 1); at < size; at += 1 << bits) {
        if (owners[at] === -1) left--;
        else if (rounds[at] !== round || (ties[at] ?? 0) >= tie) continue;
        owners[at] = i;
        rounds[at] = round;
        ties[at] = tie;
      }
    }
  }
  return Array.from(owners, (owner) => backends[owner] as Backend); // none is left at -1
}

/** Two numbers that name a backend: one alone may be another's as well. */
function nameHashes(backend: Backend): readonly [number, number] {
  const text = placeText(backend);
  let first = 0x811c_9dc5;
  let second = 0x1b87_3593;
  for (let i = 0; i < text.length; i++) {
    first = Math.imul(first ^ text.charCodeAt(i), 0x0100_0193);
    second = Math.imul(second, 31) + text.charCodeAt(i);
  }
  return [mixed(first), mixed(second)];
}

/** Spreads 32 bits, as MurmurHash3 does at its end. */
function mixed(number: number): number {
  let hash = number;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Bob Jenkins' hash "lookup3" of 4 or 16 bytes, read as little-endian words as on the machines we run on. */
function jenkins(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let a = (0xdead_beef + bytes.length + seed) | 0;
  let b = a;
  let c = a;
  const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by));
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + view.getUint32(at, true)) | 0;
    b = (b + view.getUint32(at + 4, true)) | 0;
    c = (c + view.getUint32(at + 8, true)) | 0;
    for (const [one, two, three] of [
      [4, 6, 8],
      [16, 19, 4],
    ] as const) {
      a = ((a - c) | 0) ^ rotated(c, one);
      c = (c + b) | 0;
      b = ((b - a) | 0) ^ rotated(a, two);
      a = (a + c) | 0;
      c = ((c - b) | 0) ^ rotated(b, three);
      b = (b + a) | 0;
    }
  }
  a = (a + view.getUint32(at, true)) | 0;
  c = ((c ^ b) - rotated(b, 14)) | 0;
  a = ((a ^ c) - rotated(c, 11)) | 0;
  b = ((b ^ a) - rotated(a, 25)) | 0;
  c = ((c ^ b) - rotated(b, 16)) | 0;
  a = ((a ^ c) - rotated(c, 4)) | 0;
  b = ((b ^ a) - rotated(a, 14)) | 0;
  c = ((c ^ b) - rotated(b, 24)) | 0;
  return c >>> 0;
}
