const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** A point in time with the nanoseconds that the wire forms can carry. */
export interface Timestamp {
  /** Whole seconds since 1970, rounded down. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

/** Parses RFC 3339; undefined for any other text, and for days and hours that do not exist. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const part = (i: number): number => Number(match[i] ?? 0);
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(part);
  const local = new Date(0);
  local.setUTCFullYear(year ?? 0, (month ?? 0) - 1, day);
  local.setUTCHours(hour ?? 0, minute, second);
  const exists =
    local.getUTCMonth() + 1 === month &&
    local.getUTCDate() === day &&
    local.getUTCHours() === hour &&
    local.getUTCMinutes() === minute &&
    local.getUTCSeconds() === second;
  if (!exists || part(9) > 23 || part(10) > 59) return undefined;
  const offsetSeconds = (part(9) * 60 + part(10)) * 60 * (match[8] === "-" ? -1 : 1);
  const nanos = Number((match[7] ?? "").slice(0, 9).padEnd(9, "0"));
  const seconds = local.getTime() / 1000 - offsetSeconds;
  return isWritable(seconds) ? { seconds, nanos } : undefined;
}

/** Whether RFC 3339 has a text for this second: the year must have four digits. */
export function isWritable(seconds: number): boolean {
  return seconds >= -62_167_219_200 && seconds <= 253_402_300_799;
}

/** metav1.Time: UTC, whole seconds, e.g. `2026-01-02T03:04:05Z`. */
export function formatTime(time: Timestamp): string {
  return `${wholeSeconds(time)}Z`;
}

/** The same of milliseconds since 1970. */
export function formatTimeMs(ms: number): string {
  return formatTime({ seconds: Math.floor(ms / 1000), nanos: 0 });
}

/** metav1.MicroTime: UTC with microseconds, e.g. `2026-01-02T03:04:05.000000Z`. */
export function formatMicroTime(time: Timestamp): string {
  const micros = Math.trunc(time.nanos / 1000);
  return `${wholeSeconds(time)}.${String(micros).padStart(6, "0")}Z`;
}

function wholeSeconds(time: Timestamp): string {
  return new Date(time.seconds * 1000).toISOString().slice(0, -".000Z".length);
}
