/**
 * Schedules of CronJobs: the five fields of cron(5) with names, lists, ranges and steps, `@hourly` and the like, and
 * `@every 1h30m`. What is accepted and when it is due is as in the library that Kubernetes uses (robfig/cron v3,
 * `ParseStandard`); this is written from its documentation.
 */

/** When a schedule is due, in some local time. */
export type CronSchedule =
  | { readonly kind: "fields"; readonly fields: CronFields }
  | { readonly kind: "every"; readonly ms: number };

interface CronFields {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** Either day field is `*`: a day must be in both. Otherwise it must be in one of them. */
  readonly hasAnyDay: boolean;
}

export type ParsedCron =
  | { readonly kind: "parsed"; readonly schedule: CronSchedule }
  | { readonly kind: "malformed"; readonly message: string };

interface FieldKind {
  readonly least: number;
  readonly most: number;
  readonly names: readonly string[];
}

const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const DAYS = "sun mon tue wed thu fri sat".split(" ");
const FIELDS: readonly FieldKind[] = [
  { least: 0, most: 59, names: [] },
  { least: 0, most: 23, names: [] },
  { least: 1, most: 31, names: [] },
  { least: 1, most: 12, names: MONTHS },
  { least: 0, most: 6, names: DAYS },
];

const DESCRIPTORS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** Parses a schedule without a time zone. */
export function parseCron(text: string): ParsedCron {
  if (text === "") return malformed("empty spec string");
  if (text.startsWith("@")) return parseDescriptor(text);
  const words = text.trim().split(/\s+/);
  if (words.length !== FIELDS.length) {
    return malformed(
      `expected exactly 5 fields, found ${String(words.length)}: [${words.join(" ")}]`,
    );
  }
  const sets: ReadonlySet<number>[] = [];
  const isAny: boolean[] = [];
  for (const [i, kind] of FIELDS.entries()) {
    const parsed = parseField(words[i] ?? "", kind);
    if (parsed.kind === "malformed") return parsed;
    sets.push(parsed.values);
    isAny.push(parsed.isAny);
  }
  const [minutes = NONE, hours = NONE, daysOfMonth = NONE, months = NONE, daysOfWeek = NONE] = sets;
  const hasAnyDay = isAny[2] === true || isAny[4] === true;
  const fields = { minutes, hours, daysOfMonth, months, daysOfWeek, hasAnyDay };
  return { kind: "parsed", schedule: { kind: "fields", fields } };
}

const NONE: ReadonlySet<number> = new Set();

function malformed(message: string): { readonly kind: "malformed"; readonly message: string } {
  return { kind: "malformed", message };
}

function parseDescriptor(text: string): ParsedCron {
  const fields = DESCRIPTORS[text];
  if (fields !== undefined) return parseCron(fields);
  const [, duration] = /^@every (.*)$/.exec(text) ?? [];
  if (duration === undefined) return malformed(`unrecognized descriptor: ${text}`);
  if (!/^(?:\d+\.?\d*(?:h|ms|m|us|µs|ns|s))+$/.test(duration)) {
    return malformed(`failed to parse duration ${text}: time: invalid duration "${duration}"`);
  }
  let ms = 0;
  for (const [, amount = "", unit = ""] of duration.matchAll(/([\d.]+)(h|ms|m|us|µs|ns|s)/g)) {
    ms += Number(amount) * (UNIT_MS[unit] ?? 0);
  }
  // Less than a second is one, and parts of seconds do not count.
  return {
    kind: "parsed",
    schedule: { kind: "every", ms: Math.max(1, Math.floor(ms / 1000)) * 1000 },
  };
}

type ParsedField =
  | { readonly kind: "values"; readonly values: ReadonlySet<number>; readonly isAny: boolean }
  | { readonly kind: "malformed"; readonly message: string };

function parseField(text: string, kind: FieldKind): ParsedField {
  const values = new Set<number>();
  let isAny = false;
  for (const part of text.split(",").filter((one) => one !== "")) {
    const range = parseRange(part, kind);
    if (range.kind === "malformed") return range;
    isAny ||= range.isAny;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return { kind: "values", values, isAny };
}

type ParsedRange =
  | {
      readonly kind: "range";
      readonly from: number;
      readonly to: number;
      readonly step: number;
      /** All values there are, one by one. */
      readonly isAny: boolean;
    }
  | { readonly kind: "malformed"; readonly message: string };

/** `*`, `5`, `1-5`, and each of them with a step: `5/15` goes on to the end. */
function parseRange(text: string, kind: FieldKind): ParsedRange {
  const [range = "", stepText, ...moreSteps] = text.split("/");
  const [low = "", high, ...moreEnds] = range.split("-");
  if (moreSteps.length > 0) return malformed(`too many slashes: ${text}`);
  const isStar = low === "*" || low === "?";
  if (moreEnds.length > 0 && !isStar) return malformed(`too many hyphens: ${text}`);
  const step = stepText === undefined ? 1 : wholeNumber(stepText);
  const from = isStar ? kind.least : valueOf(low, kind);
  const single = stepText === undefined ? from : kind.most;
  const to = isStar ? kind.most : high === undefined ? single : valueOf(high, kind);
  for (const [value, given] of [
    [from, low],
    [to, high ?? ""],
    [step, stepText ?? ""],
  ] as const) {
    if (value === undefined) {
      return malformed(
        `failed to parse int from ${given}: strconv.Atoi: parsing ${JSON.stringify(given)}: invalid syntax`,
      );
    }
  }
  // None of them is undefined now.
  const [first, last, by] = [from ?? 0, to ?? 0, step ?? 0];
  if (first < kind.least) {
    return malformed(
      `beginning of range (${String(first)}) below minimum (${String(kind.least)}): ${text}`,
    );
  }
  if (last > kind.most) {
    return malformed(
      `end of range (${String(last)}) above maximum (${String(kind.most)}): ${text}`,
    );
  }
  if (first > last) {
    return malformed(
      `beginning of range (${String(first)}) beyond end of range (${String(last)}): ${text}`,
    );
  }
  if (by === 0) return malformed(`step of range should be a positive number: ${text}`);
  return { kind: "range", from: first, to: last, step: by, isAny: isStar && by === 1 };
}

function valueOf(text: string, { names, least }: FieldKind): number | undefined {
  const at = names.indexOf(text.toLowerCase());
  return at === -1 ? wholeNumber(text) : at + least;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** A schedule that is never due in so many years (30 February) never is. */
const MAX_YEARS = 5;

/** How far a time zone is ahead of UTC at a time, both in milliseconds. */
export type OffsetAt = (epochMs: number) => number;

/**
 * The first time after `afterMs` at which the schedule is due, in epoch milliseconds; undefined when there is none in
 * five years. An hour that a time zone skips is not run, one that comes twice is run twice.
 */
export function nextDue(
  schedule: CronSchedule,
  afterMs: number,
  offsetAt: OffsetAt,
): number | undefined {
  if (schedule.kind === "every") return Math.floor(afterMs / 1000) * 1000 + schedule.ms;
  const { fields } = schedule;
  const end = afterMs + MAX_YEARS * 366 * DAY_MS;
  let at = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS;
  while (at <= end) {
    const local = new Date(at + offsetAt(at));
    const isDay = fields.months.has(local.getUTCMonth() + 1) && isDue(fields, local);
    if (!isDay) at = nextMidnight(at, local, offsetAt);
    else if (!fields.hours.has(local.getUTCHours())) {
      at += HOUR_MS - local.getUTCMinutes() * MINUTE_MS;
    } else if (!fields.minutes.has(local.getUTCMinutes())) at += MINUTE_MS;
    else return at;
  }
  return undefined;
}

function isDue({ daysOfMonth, daysOfWeek, hasAnyDay }: CronFields, local: Date): boolean {
  const ofMonth = daysOfMonth.has(local.getUTCDate());
  const ofWeek = daysOfWeek.has(local.getUTCDay());
  return hasAnyDay ? ofMonth && ofWeek : ofMonth || ofWeek;
}

/** The local day's end, or the first time after it where the clock skips midnight. */
function nextMidnight(at: number, local: Date, offsetAt: OffsetAt): number {
  const passedMs = local.getUTCHours() * HOUR_MS + local.getUTCMinutes() * MINUTE_MS;
  const guess = at + DAY_MS - passedMs;
  // A day on which clocks are changed is not 24 hours long.
  const changed = offsetAt(guess) - offsetAt(at);
  const exact = guess - changed;
  return exact > at && offsetAt(exact) === offsetAt(guess) ? exact : Math.max(guess, at + HOUR_MS);
}

/** RFC 3339 in the zone's own time, e.g. `2026-03-01T09:00:00+01:00`. */
export function formatLocal(epochMs: number, offsetAt: OffsetAt): string {
  const offsetMs = offsetAt(epochMs);
  const local = new Date(epochMs + offsetMs).toISOString().slice(0, -".000Z".length);
  if (offsetMs === 0) return `${local}Z`;
  const minutes = Math.abs(Math.round(offsetMs / MINUTE_MS));
  const two = (n: number): string => String(n).padStart(2, "0");
  const sign = offsetMs < 0 ? "-" : "+";
  return `${local}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
