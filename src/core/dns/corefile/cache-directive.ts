import type { DomainName } from "../domain-name.ts";
import { parseDuration } from "./directive.ts";
import type { Directive } from "./directive.ts";

/** How answers from upstream are kept: the `cache` directive. */
export interface CacheConfig {
  /** Only answers for names in these; the empty name stands for all. */
  readonly zones: readonly DomainName[];
  readonly success: CacheShare;
  readonly denial: CacheShare;
  /** Zones whose answers, found or denied, are not kept. */
  readonly noSuccess: readonly DomainName[];
  readonly noDenial: readonly DomainName[];
  /** Of failures; RFC 2308 section 7.1 has five minutes at most. */
  readonly servfailSeconds: number;
  readonly prefetch: PrefetchConfig | undefined;
  readonly serveStale: StaleConfig | undefined;
  /** Answers keep the time to live that they came with instead of counting down. */
  readonly keepTtl: boolean;
}

export interface CacheShare {
  readonly capacity: number;
  readonly maxTtlSeconds: number;
  readonly minTtlSeconds: number;
}

export interface PrefetchConfig {
  /** How often an answer must have been given... */
  readonly amount: number;
  /** ...without a break of this length... */
  readonly gapMs: number;
  /** ...to be asked for again when so much of its time is left. */
  readonly fraction: number;
}

export interface StaleConfig {
  readonly maxAgeMs: number;
  /** `verify` first asks and gives the stale answer only if that fails. */
  readonly refresh: "immediate" | "verify";
}

/**
 * What is kept of answers from the host's resolvers when nobody says otherwise: no change elsewhere stays
 * hidden for longer than half a minute, and when these resolvers fail, the last answer is given for an hour.
 * Failures are kept for a second (RFC 9520 section 3.2), so that a network that comes back is seen soon.
 */
export const HOST_CACHE: CacheConfig = {
  zones: [[]],
  success: { capacity: 10_000, maxTtlSeconds: 30, minTtlSeconds: 0 },
  denial: { capacity: 10_000, maxTtlSeconds: 30, minTtlSeconds: 0 },
  noSuccess: [],
  noDenial: [],
  servfailSeconds: 1,
  prefetch: undefined,
  serveStale: { maxAgeMs: 3_600_000, refresh: "verify" },
  keepTtl: false,
};

const DEFAULT_CACHE: CacheConfig = {
  zones: [[]],
  success: { capacity: 9984, maxTtlSeconds: 3600, minTtlSeconds: 5 },
  denial: { capacity: 9984, maxTtlSeconds: 1800, minTtlSeconds: 5 },
  noSuccess: [],
  noDenial: [],
  servfailSeconds: 5,
  prefetch: undefined,
  serveStale: undefined,
  keepTtl: false,
};

export function readCache(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
): CacheConfig {
  const words = directive.rest();
  const ttl = /^\d{1,9}$/.test(words[0] ?? "") ? Number(words[0]) : undefined;
  const zones = (ttl === undefined ? words : words.slice(1)).flatMap(zonesOf);
  const capped = (share: CacheShare): CacheShare =>
    ttl === undefined ? share : { ...share, maxTtlSeconds: ttl };
  const config: { -readonly [K in keyof CacheConfig]: CacheConfig[K] } = {
    ...DEFAULT_CACHE,
    zones: zones.length === 0 ? [[]] : zones,
    success: capped(DEFAULT_CACHE.success),
    denial: capped(DEFAULT_CACHE.denial),
  };
  directive.options({
    success: (option) => {
      config.success = readShare(option, config.success);
    },
    denial: (option) => {
      config.denial = readShare(option, config.denial);
    },
    prefetch: (option) => {
      const amount = option.integer("number", 0, 1_000_000);
      const gapMs = option.optional();
      const percent = option.optional() ?? "10%";
      const value = /^(\d{1,2})%$/.exec(percent)?.[1];
      if (value === undefined || Number(value) < 10 || Number(value) > 90) {
        option.fail(`${JSON.stringify(percent)} is no share from 10% to 90%`);
      }
      config.prefetch = {
        amount,
        gapMs: gapMs === undefined ? 60_000 : durationOf(option, gapMs),
        fraction: Number(value) / 100,
      };
    },
    serve_stale: (option) => {
      const age = option.optional();
      config.serveStale = {
        maxAgeMs: age === undefined ? 3_600_000 : durationOf(option, age),
        refresh: option.oneOf("when to ask", ["immediate", "verify"], "immediate"),
      };
    },
    servfail: (option) => {
      const ms = option.duration("a duration");
      if (ms > 300_000) option.fail("failures are kept for at most 5m (RFC 2308 section 7.1)");
      config.servfailSeconds = ms / 1000;
    },
    disable: (option) => {
      const what = option.oneOf("what", ["success", "denial"]);
      const named = option.rest().flatMap(zonesOf);
      const disabled = named.length === 0 ? [[]] : named;
      if (what === "success") config.noSuccess = disabled;
      else config.noDenial = disabled;
    },
    keepttl: () => {
      config.keepTtl = true;
    },
  });
  return config;
}

function readShare(option: Directive, share: CacheShare): CacheShare {
  const capacity = option.integer("number of answers", 1, 10_000_000);
  const [max, min] = [option.optional(), option.optional()];
  const seconds = (text: string | undefined, fallback: number): number => {
    if (text === undefined) return fallback;
    return /^\d{1,6}$/.test(text)
      ? Number(text)
      : option.fail(`${JSON.stringify(text)} is no number of seconds`);
  };
  return {
    capacity,
    maxTtlSeconds: seconds(max, share.maxTtlSeconds),
    minTtlSeconds: seconds(min, share.minTtlSeconds),
  };
}

function durationOf(option: Directive, text: string): number {
  return parseDuration(text) ?? option.fail(`${JSON.stringify(text)} is no duration such as 1m`);
}
