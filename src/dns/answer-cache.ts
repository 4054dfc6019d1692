import type { CacheConfig, CacheShare } from "../core/dns/corefile/cache-directive.ts";
import { foldName, formatDomainName, isWithin } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message, ResourceRecord } from "../core/dns/message.ts";
import type { UpstreamAnswer, UpstreamQuestion } from "./upstream.ts";

/** Longer answers are rare, and would push out many others. */
const MAX_ENTRY_BYTES = 4096;
/**
 * All of a kind together have as many bytes as if each had these, which most are shorter than. Read, they take some
 * twelve times as much: without this bound, 10,000 of the longest answers would take hundreds of megabytes.
 */
const MEAN_ENTRY_BYTES = 256;
/** What a stale answer may be kept for by who gets it (RFC 8767 section 5). */
const STALE_TTL_SECONDS = 30;
/** After a server failed to renew a stale answer, it is not asked again for so long (RFC 8767 section 5). */
const STALE_RETRY_MS = 5000;

interface Entry {
  readonly message: Message;
  /** As it came. */
  readonly bytes: number;
  readonly storedMs: number;
  readonly expiresMs: number;
  hits: number;
  lastHitMs: number;
  retryMs: number;
  isRenewing: boolean;
}

export interface CacheHit {
  /** With its times to live counted down. */
  readonly message: Message;
  /** Its time is over: to be given only if nobody has a newer one. */
  readonly isStale: boolean;
  /** Whether to ask for a newer one now, beside giving this one. */
  readonly isDue: boolean;
}

/** Answers with records, and all others, are bounded by themselves. */
type Share = "success" | "denial";

export interface CacheMetrics {
  requested(): void;
  hit(kind: Share): void;
  missed(): void;
  evicted(kind: Share): void;
  /** One that is too long to be kept. */
  dropped(): void;
}

const NO_CACHE_METRICS: CacheMetrics = {
  requested: () => undefined,
  hit: () => undefined,
  missed: () => undefined,
  evicted: () => undefined,
  dropped: () => undefined,
};

/**
 * Answers from upstream, kept for their time to live within the configured bounds; negative ones as RFC 2308
 * says. Of each kind it holds as many as configured, or fewer where they are long, and forgets what was not asked
 * for the longest. Names of the cluster never come here: they are always answered from what is true now (DNS-031).
 */
export class AnswerCache {
  readonly #config: CacheConfig;
  readonly #metrics: CacheMetrics;
  readonly #success = new Map<string, Entry>();
  readonly #denial = new Map<string, Entry>();
  readonly #bytes: Record<Share, number> = { success: 0, denial: 0 };

  constructor(config: CacheConfig, metrics: CacheMetrics = NO_CACHE_METRICS) {
    this.#config = config;
    this.#metrics = metrics;
  }

  /** How many answers are held. */
  sizeOf(kind: Share): number {
    return this.#mapOf(kind).size;
  }

  get(key: string, nowMs: number): CacheHit | undefined {
    this.#metrics.requested();
    const fresh = this.#lookup("success", key, nowMs) ?? this.#lookup("denial", key, nowMs);
    if (fresh === undefined) this.#metrics.missed();
    return fresh;
  }

  /** Whoever was told to renew an answer has tried, and nobody had a newer one. */
  renewalFailed(key: string, nowMs: number): void {
    const entry = this.#success.get(key) ?? this.#denial.get(key);
    if (entry === undefined) return;
    entry.isRenewing = false;
    entry.retryMs = nowMs + STALE_RETRY_MS;
  }

  put(key: string, { message, bytes }: UpstreamAnswer, nowMs: number): void {
    const name = foldName(message.question?.name ?? []);
    const kind = isPositive(message) ? "success" : "denial";
    const ttlSeconds = this.#ttlOf(message, kind);
    const covers = (zones: readonly DomainName[]): boolean =>
      zones.some((zone) => isWithin(name, zone));
    const { zones, noSuccess, noDenial } = this.#config;
    const isKept = covers(zones) && !covers(kind === "success" ? noSuccess : noDenial);
    if (!isKept || ttlSeconds <= 0) return;
    if (bytes > MAX_ENTRY_BYTES) {
      this.#metrics.dropped();
      return;
    }
    // A failure is no news as long as there is something to give in its place.
    if (isFailure(message) && this.#config.serveStale !== undefined && this.#success.has(key))
      return;
    this.#remove("success", key);
    this.#remove("denial", key);
    this.#makeRoom(kind, bytes);
    this.#bytes[kind] += bytes;
    this.#mapOf(kind).set(key, {
      message,
      bytes,
      storedMs: nowMs,
      expiresMs: nowMs + 1000 * ttlSeconds,
      hits: 0,
      lastHitMs: nowMs,
      retryMs: 0,
      isRenewing: false,
    });
  }

  #makeRoom(kind: Share, bytes: number): void {
    const map = this.#mapOf(kind);
    const { capacity } = this.#config[kind];
    const maxBytes = Math.max(MAX_ENTRY_BYTES, capacity * MEAN_ENTRY_BYTES);
    for (const oldest of map.keys()) {
      if (map.size < capacity && this.#bytes[kind] + bytes <= maxBytes) return;
      this.#remove(kind, oldest);
      this.#metrics.evicted(kind);
    }
  }

  #remove(kind: Share, key: string): void {
    const map = this.#mapOf(kind);
    this.#bytes[kind] -= map.get(key)?.bytes ?? 0;
    map.delete(key);
  }

  #mapOf(kind: Share): Map<string, Entry> {
    return kind === "success" ? this.#success : this.#denial;
  }

  #lookup(kind: Share, key: string, nowMs: number): CacheHit | undefined {
    const map = this.#mapOf(kind);
    const entry = map.get(key);
    if (entry === undefined) return undefined;
    const isStale = nowMs >= entry.expiresMs;
    const maxAgeMs = this.#config.serveStale?.maxAgeMs ?? 0;
    if (isStale && nowMs >= entry.expiresMs + maxAgeMs) {
      this.#remove(kind, key);
      return undefined;
    }
    // Behind all others: it goes last.
    map.delete(key);
    map.set(key, entry);
    if (isStale) {
      const isDue = !entry.isRenewing && nowMs >= entry.retryMs;
      return { message: withTtl(entry.message, STALE_TTL_SECONDS), isStale, isDue };
    }
    this.#metrics.hit(kind);
    const isDue = this.#isDue(entry, nowMs);
    if (isDue) entry.isRenewing = true;
    const ageSeconds = this.#config.keepTtl ? 0 : Math.floor((nowMs - entry.storedMs) / 1000);
    return { message: aged(entry.message, ageSeconds), isStale: false, isDue };
  }

  /** Whether an answer that is asked for often is near its end. */
  #isDue(entry: Entry, nowMs: number): boolean {
    const { prefetch } = this.#config;
    if (prefetch === undefined) return false;
    entry.hits = nowMs - entry.lastHitMs > prefetch.gapMs ? 1 : entry.hits + 1;
    entry.lastHitMs = nowMs;
    const left = (entry.expiresMs - nowMs) / (entry.expiresMs - entry.storedMs);
    return !entry.isRenewing && entry.hits > prefetch.amount && left <= prefetch.fraction;
  }

  #ttlOf(message: Message, kind: Share): number {
    const { answers, authority } = message;
    if (isFailure(message)) return this.#config.servfailSeconds;
    const ttls = [...answers, ...authority].map(({ ttlSeconds }) => ttlSeconds);
    if (kind === "success") return within(this.#config.success, Math.min(...ttls));
    // Without an SOA nobody says for how long it is true (RFC 2308 section 5).
    const soa = authority.find(({ data }) => data.kind === "SOA");
    if (soa?.data.kind !== "SOA") return 0;
    return within(this.#config.denial, Math.min(...ttls, soa.data.minimumSeconds));
  }
}

/** Questions with the same key have the same answer. */
export function cacheKeyOf(question: UpstreamQuestion): string {
  const { name, type, dnssecOk, authenticData, checkingDisabled, options } = question;
  const flags = [type, question.class, dnssecOk, authenticData, checkingDisabled].map(Number);
  // The answer may be another one for whoever says something else of itself.
  const told = options === undefined ? "" : ` ${options.join(".")}`;
  return `${formatDomainName(foldName(name))} ${flags.join(" ")}${told}`;
}

/** Whether there is something of the type asked for; an alias alone leads to nothing (RFC 2308 section 2). */
function isPositive({ rcode, answers, authority }: Message): boolean {
  if (rcode !== RCODE.NOERROR || answers.length === 0) return false;
  return answers.some(({ data }) => data.kind !== "CNAME") || authority.length === 0;
}

function isFailure({ rcode }: Message): boolean {
  return rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN;
}

/** What came with no time to live is not kept, whatever the least time is. */
function within({ maxTtlSeconds, minTtlSeconds }: CacheShare, ttlSeconds: number): number {
  return ttlSeconds <= 0 ? 0 : Math.min(maxTtlSeconds, Math.max(minTtlSeconds, ttlSeconds));
}

function aged(message: Message, seconds: number): Message {
  return seconds === 0
    ? message
    : withEach(message, (ttlSeconds) => Math.max(0, ttlSeconds - seconds));
}

function withTtl(message: Message, seconds: number): Message {
  return withEach(message, () => seconds);
}

function withEach(message: Message, change: (ttlSeconds: number) => number): Message {
  const changed = (records: readonly ResourceRecord[]): readonly ResourceRecord[] =>
    records.map((record) => ({ ...record, ttlSeconds: change(record.ttlSeconds) }));
  return {
    ...message,
    answers: changed(message.answers),
    authority: changed(message.authority),
    additional: changed(message.additional),
  };
}
