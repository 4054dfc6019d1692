export interface Backoff {
  /** Longest delay before the first retry. */
  readonly baseMs: number;
  /** No delay is longer. */
  readonly maxMs: number;
}

/**
 * Milliseconds to wait before retry number `attempt` (0 is the first): doubles from `baseMs` up to `maxMs`,
 * and of that a random part between a half and the whole, so that many who failed together do not return
 * together. `random` gives numbers in [0, 1), such as `Math.random`.
 */
export function backoff(attempt: number, { baseMs, maxMs }: Backoff, random: () => number): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.max(0, attempt));
  return full * (0.5 + random() / 2);
}
