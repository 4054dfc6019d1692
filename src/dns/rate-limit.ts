import { ipToBytes, parseIpAddress } from "../net/address.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** What is done with an answer. */
export type Verdict =
  | "send"
  /** Only "ask over TCP" is sent: who really asked can, and whoever is made to look so gets little. */
  | "truncate"
  | "drop";

/**
 * What threads that share a limit are started with. One table for all of them: the kernel gives a client's packets
 * to a thread by its port, so that with a table each a client with one port would get its share of one thread only,
 * and one with many ports that of all.
 */
export interface RateLimitMemory {
  /** Answers that a source may get in a second. */
  readonly perSecond: number;
  /** Mixed into hashes, so that nobody outside can choose sources that collide. */
  readonly seed: number;
  readonly table: SharedArrayBuffer;
}

/** Counters before the slots: answers truncated and dropped, and those dropped by other threads than the main one. */
const TRUNCATED = 0;
const DROPPED = 1;
const DROPPED_BY_THREADS = 2;
const HEAD_WORDS = 4;
/** A slot: the second that it is about, the source in two words, and how many answers. */
const SLOT_WORDS = 4;
/** Sources that are told apart at once: 8,192 buckets of eight. A mebibyte. */
const BUCKETS = 8192;
const WAYS = 8;
/** In place of the second while a thread writes the slot. */
const CLAIMED = -1;
const IPV4_SOURCE = 0x0400_0000;
const IPV6_SOURCE = 0x0600_0000;

/** @param seed any number of 32 bits that is not to be guessed. */
export function createRateLimitMemory(perSecond: number, seed: number): RateLimitMemory {
  const words = HEAD_WORDS + BUCKETS * WAYS * SLOT_WORDS;
  return { perSecond, seed, table: new SharedArrayBuffer(4 * words) };
}

/**
 * Bounds what is sent over UDP to one source, a network of 256 IPv4 addresses or 2^72 IPv6 ones: senders of
 * questions with a forged source get no more than this sent to whoever they mean. Half of the rest gets a
 * truncated answer, for which real clients come again over TCP.
 *
 * When more sources than there is room for ask in one second, one takes over the count of that which had the
 * fewest: what is counted for a source is never less than what it got. Threads that write one slot at the same
 * moment may let one answer more through.
 */
export class RateLimiter {
  readonly memory: RateLimitMemory;
  readonly #nowMs: () => number;
  readonly #words: Int32Array;

  /** @param nowMs the same clock in all threads: milliseconds since the epoch. */
  constructor(memory: RateLimitMemory, nowMs: () => number) {
    this.memory = memory;
    this.#nowMs = nowMs;
    this.#words = new Int32Array(memory.table);
  }

  /** Counts an answer to this address. */
  judge(address: string): Verdict {
    const parsed = parseIpAddress(address);
    // The kernel gives nothing else.
    if (parsed === undefined) return "send";
    const bytes = ipToBytes(parsed);
    return bytes.length === 4 ? this.#judge4(bytes, 0) : this.#judge6(bytes, 0);
  }

  /** For a thread: counts an answer to the socket address (`struct sockaddr_in` or `sockaddr_in6`) at `start`. */
  judgeSocketAddress(bytes: Uint8Array, start: number): Verdict {
    const isIpv6 = bytes[start] === 10;
    const verdict = isIpv6 ? this.#judge6(bytes, start + 8) : this.#judge4(bytes, start + 4);
    if (verdict === "drop") Atomics.add(this.#words, DROPPED_BY_THREADS, 1);
    return verdict;
  }

  /** Since the start, by all threads together. */
  counts(): { readonly truncated: number; readonly dropped: number } {
    return {
      truncated: Atomics.load(this.#words, TRUNCATED) >>> 0,
      dropped: Atomics.load(this.#words, DROPPED) >>> 0,
    };
  }

  /** How many were dropped by {@link judgeSocketAddress} since this was asked last, by whoever. */
  takeDroppedByThreads(): number {
    return Atomics.exchange(this.#words, DROPPED_BY_THREADS, 0) >>> 0;
  }

  /** What the first three bytes say. */
  #judge4(bytes: Uint8Array, at: number): Verdict {
    const network = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    return this.#verdict(this.#count(IPV4_SOURCE, network));
  }

  /** The first 56 bits: what one customer has. */
  #judge6(bytes: Uint8Array, at: number): Verdict {
    const word = (from: number): number =>
      ((bytes[from] ?? 0) << 24) |
      ((bytes[from + 1] ?? 0) << 16) |
      ((bytes[from + 2] ?? 0) << 8) |
      (bytes[from + 3] ?? 0);
    const isMapped = word(at) === 0 && word(at + 4) === 0 && word(at + 8) === 0xffff;
    if (isMapped) return this.#judge4(bytes, at + 12);
    return this.#verdict(this.#count(IPV6_SOURCE | (word(at + 4) >>> 8), word(at)));
  }

  #verdict(count: number): Verdict {
    if (count <= this.memory.perSecond) return "send";
    const verdict = count % 2 === 0 ? "truncate" : "drop";
    Atomics.add(this.#words, verdict === "drop" ? DROPPED : TRUNCATED, 1);
    return verdict;
  }

  /** How many answers the source got in this second, this one included. */
  #count(high: number, low: number): number {
    const words = this.#words;
    const second = Math.floor(this.#nowMs() / 1000) & 0x7fff_ffff;
    const first = HEAD_WORDS + this.#bucketOf(high, low) * WAYS * SLOT_WORDS;
    let taken = -1;
    let takenSecond = 0;
    let fewest = Number.POSITIVE_INFINITY;
    for (let at = first; at < first + WAYS * SLOT_WORDS; at += SLOT_WORDS) {
      const of = Atomics.load(words, at);
      if (of === second && words[at + 1] === high && words[at + 2] === low) {
        return Atomics.add(words, at + 3, 1) + 1;
      }
      const count = of === second ? (words[at + 3] ?? 0) : 0;
      if (of === CLAIMED || count >= fewest) continue;
      taken = at;
      takenSecond = of;
      fewest = count;
    }
    // Another thread is faster: then there is one more answer than counted.
    if (taken < 0 || Atomics.compareExchange(words, taken, takenSecond, CLAIMED) !== takenSecond) {
      return 1;
    }
    words[taken + 1] = high;
    words[taken + 2] = low;
    words[taken + 3] = fewest + 1;
    Atomics.store(words, taken, second);
    return fewest + 1;
  }

  #bucketOf(high: number, low: number): number {
    let hash = Math.imul(high ^ this.memory.seed, 0x85eb_ca6b) ^ low;
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2_ae35);
    return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
  }
}

/** Counts what a limit holds back, until it is disposed. */
export function countRateLimits(limiter: RateLimiter, metrics: Metrics): Disposable {
  const counter = metrics.counter(
    "portolan_dns_rate_limited_total",
    "Answers over UDP that --rate-limit held back: truncated ones say to ask over TCP.",
    ["action"],
  );
  let before = { truncated: 0, dropped: 0 };
  for (const action of ["truncate", "drop"]) counter.with({ action }).inc(0);
  return metrics.beforeRender(() => {
    const now = limiter.counts();
    counter.with({ action: "truncate" }).inc((now.truncated - before.truncated) >>> 0);
    counter.with({ action: "drop" }).inc((now.dropped - before.dropped) >>> 0);
    before = now;
  });
}
