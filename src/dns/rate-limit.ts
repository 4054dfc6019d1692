/** What is done with an answer. */
export type Verdict =
  | "send"
  /** Only "ask over TCP" is sent: who really asked can, and whoever is made to look so gets little. */
  | "truncate"
  | "drop";

/** How many sources are told apart at once; when there are more, those of the second before are forgotten. */
const MAX_SOURCES = 65_536;

/**
 * Bounds what is sent over UDP to one source, a network of 256 IPv4 addresses or 2^72 IPv6 ones: senders of
 * questions with a forged source get no more than this sent to whoever they mean. Half of the rest gets a
 * truncated answer, for which real clients come again over TCP.
 */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #second = Number.NEGATIVE_INFINITY;
  #counts = new Map<string, number>();

  /** @param perSecond answers a source may get in a second. */
  constructor(perSecond: number, nowMs: () => number) {
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
  }

  /** Counts an answer to this address. */
  judge(address: string): Verdict {
    const second = Math.floor(this.#nowMs() / 1000);
    if (second !== this.#second || this.#counts.size > MAX_SOURCES) {
      this.#second = second;
      this.#counts = new Map();
    }
    const source = networkOf(address);
    const count = (this.#counts.get(source) ?? 0) + 1;
    this.#counts.set(source, count);
    if (count <= this.#perSecond) return "send";
    return count % 2 === 0 ? "truncate" : "drop";
  }
}

/** The first three bytes of IPv4, the first 56 bits of IPv6: what one customer has. */
function networkOf(address: string): string {
  const v4 = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (!v4.includes(":")) return v4.slice(0, v4.lastIndexOf("."));
  const groups = v4.split("::", 1)[0]?.split(":") ?? [];
  const fourth = (groups[3] ?? "0").padStart(4, "0").slice(0, 2);
  return `${groups.slice(0, 3).join(":")}:${fourth}`;
}
