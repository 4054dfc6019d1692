import { formatDomainName, foldName } from "../core/dns/domain-name.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message, ResourceRecord } from "../core/dns/message.ts";
import type { UpstreamAnswer, UpstreamQuestion } from "./upstream.ts";

/** As in the usual Corefile (`cache 30`): no change elsewhere stays hidden for longer. */
const MAX_TTL_SECONDS = 30;
/** Of failures (RFC 9520 section 3.2: at least a second), so that a network that comes back is seen soon. */
const FAILURE_TTL_SECONDS = 1;
const MAX_ENTRIES = 10_000;
/** Longer answers are rare, and would let 10,000 entries hold hundreds of megabytes. */
const MAX_ENTRY_BYTES = 4096;

interface Entry {
  readonly message: Message;
  readonly storedMs: number;
  readonly expiresMs: number;
}

/**
 * Answers from upstream, kept for their time to live and no longer than 30 seconds; negative ones as
 * RFC 2308 says. Holds at most 10,000, and forgets what was not asked for the longest. Names of the cluster
 * never come here: they are always answered from what is true now (DNS-031).
 */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The answer with its times to live counted down. */
  get(key: string, nowMs: number): Message | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (nowMs >= entry.expiresMs) return undefined;
    this.#entries.set(key, entry);
    const ageSeconds = Math.floor((nowMs - entry.storedMs) / 1000);
    return aged(entry.message, ageSeconds);
  }

  put(key: string, { message, bytes }: UpstreamAnswer, nowMs: number): void {
    const ttlSeconds = Math.min(MAX_TTL_SECONDS, ttlOf(message));
    if (ttlSeconds <= 0 || bytes > MAX_ENTRY_BYTES) return;
    this.#entries.delete(key);
    if (this.#entries.size >= MAX_ENTRIES) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, { message, storedMs: nowMs, expiresMs: nowMs + 1000 * ttlSeconds });
  }
}

/** Questions with the same key have the same answer. */
export function cacheKeyOf(question: UpstreamQuestion): string {
  const { name, type, dnssecOk, authenticData, checkingDisabled } = question;
  const flags = [type, question.class, dnssecOk, authenticData, checkingDisabled].map(Number);
  return `${formatDomainName(foldName(name))} ${flags.join(" ")}`;
}

function ttlOf(message: Message): number {
  const { rcode, answers, authority } = message;
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return FAILURE_TTL_SECONDS;
  const type = message.question?.type;
  const ttls = [...answers, ...authority].map(({ ttlSeconds }) => ttlSeconds);
  const isPositive = rcode === RCODE.NOERROR && (answers.length > 0 || type === undefined);
  if (isPositive) return Math.min(...ttls);
  // Without an SOA nobody says for how long it is true (RFC 2308 section 5).
  const soa = authority.find(({ data }) => data.kind === "SOA");
  if (soa?.data.kind !== "SOA") return 0;
  return Math.min(...ttls, soa.data.minimumSeconds);
}

function aged(message: Message, seconds: number): Message {
  if (seconds === 0) return message;
  const age = (records: readonly ResourceRecord[]): readonly ResourceRecord[] =>
    records.map((record) => ({
      ...record,
      ttlSeconds: Math.max(0, record.ttlSeconds - seconds),
    }));
  return {
    ...message,
    answers: age(message.answers),
    authority: age(message.authority),
    additional: age(message.additional),
  };
}
