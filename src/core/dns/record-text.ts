import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import { parseDomainName } from "./domain-name.ts";
import { CLASS_IN } from "./message.ts";
import type { RecordData, ResourceRecord } from "./message.ts";
import { parseClass } from "./record-type.ts";

/** Types that {@link parseRecord} reads. */
export const RECORD_TEXT_TYPES = [
  "A",
  "AAAA",
  "CNAME",
  "MX",
  "NS",
  "PTR",
  "SOA",
  "SRV",
  "TXT",
] as const;

/** Where a record says nothing of its time to live; as CoreDNS's library. */
const DEFAULT_TTL_SECONDS = 3600;
const MX = 15;

/**
 * Reads one record of a zone file, with whole names: `NAME [TTL] [CLASS] TYPE DATA` (RFC 1035 section 5.1). Parentheses
 * and comments may be in it, as in what is written over several lines; times may have units, as in `1h30m`.
 * @returns undefined when it is none, or of another type than {@link RECORD_TEXT_TYPES}.
 */
export function parseRecord(text: string): ResourceRecord | undefined {
  const words = wordsOf(text);
  if (words === undefined) return undefined;
  const name = parseDomainName(words.shift() ?? "");
  let ttlSeconds = DEFAULT_TTL_SECONDS;
  let ofClass: number = CLASS_IN;
  for (;;) {
    const next = words[0] ?? "";
    const time = seconds(next);
    const named = parseClass(next);
    if (time !== undefined) ttlSeconds = time;
    else if (named !== undefined) ofClass = named;
    else break;
    words.shift();
  }
  const type = (words.shift() ?? "").toUpperCase();
  if (name === undefined || ttlSeconds > 0x7fff_ffff) return undefined;
  const data = readData(type, words);
  if (data === undefined) return undefined;
  return { name, ...(ofClass === CLASS_IN ? {} : { class: ofClass }), ttlSeconds, data };
}

/** Words, and texts in quotes. @returns undefined when a quote or a parenthesis is not closed. */
function wordsOf(text: string): string[] | undefined {
  const words: string[] = [];
  let depth = 0;
  const pattern = /"((?:[^"\\]|\\.)*)"|((?:[^\s"();\\]|\\.)+)|([()])|;[^\n]*|(\S)/gs;
  for (const [, quoted, plain, parenthesis, stray] of text.matchAll(pattern)) {
    const word = quoted ?? plain;
    if (word !== undefined) words.push(word);
    if (parenthesis !== undefined) depth += parenthesis === "(" ? 1 : -1;
    if (stray !== undefined || depth < 0) return undefined;
  }
  return depth === 0 ? words : undefined;
}

function readData(type: string, texts: readonly string[]): RecordData | undefined {
  const [first = "", second = "", third = "", fourth = ""] = texts;
  switch (type) {
    case "A":
    case "AAAA": {
      const address = parseIpAddress(first);
      const isOfType =
        address !== undefined && (ipFamilyOf(address) === "IPv4" ? "A" : "AAAA") === type;
      return isOfType && texts.length === 1 ? { kind: type, address } : undefined;
    }
    case "CNAME":
    case "NS":
    case "PTR": {
      const name = parseDomainName(first);
      return name === undefined || texts.length !== 1 ? undefined : { kind: type, target: name };
    }
    case "MX": {
      const [preference, exchange] = [number(first, 0xffff), parseDomainName(second)];
      if (preference === undefined || exchange === undefined || texts.length !== 2)
        return undefined;
      const bytes = Uint8Array.of(preference >> 8, preference & 0xff);
      return { kind: "other", type: MX, parts: [bytes, exchange] };
    }
    case "SRV": {
      const [priority, weight, port] = [first, second, third].map((each) => number(each, 0xffff));
      const name = parseDomainName(fourth);
      if (priority === undefined || weight === undefined || port === undefined) return undefined;
      if (name === undefined || texts.length !== 4) return undefined;
      return { kind: "SRV", priority, weight, port, target: name };
    }
    case "TXT": {
      const strings = texts.map(unescaped);
      const isText = strings.length > 0 && strings.every(isCharacterString);
      return isText ? { kind: "TXT", strings } : undefined;
    }
    case "SOA": {
      const [mname, rname] = [parseDomainName(first), parseDomainName(second)];
      const numbers = [number(third, 0xffff_ffff), ...texts.slice(3).map(seconds)];
      const [serial, refreshSeconds, retrySeconds, expireSeconds, minimumSeconds] = numbers;
      if (mname === undefined || rname === undefined || texts.length !== 7) return undefined;
      if (serial === undefined || refreshSeconds === undefined || retrySeconds === undefined) {
        return undefined;
      }
      if (expireSeconds === undefined || minimumSeconds === undefined) return undefined;
      const times = { refreshSeconds, retrySeconds, expireSeconds, minimumSeconds };
      return { kind: "SOA", mname, rname, serial, ...times };
    }
    default:
      return undefined;
  }
}

function number(text: string, max: number): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= max ? value : undefined;
}

/** A number of seconds, or some with units: `90`, `1h30m`. */
function seconds(text: string): number | undefined {
  // One way only to read it: what does not fit is refused after one look, however long it is.
  if (text === "" || !/^(?:\d{1,10}[smhdw])*\d{0,10}$/i.test(text)) return undefined;
  let sum = 0;
  for (const [, count = "", unit = "s"] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    sum += Number(count) * (UNIT_SECONDS[unit.toLowerCase()] ?? 1);
  }
  return sum <= 0xffff_ffff ? sum : undefined;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 };

/** RFC 1035 section 3.3: a length byte and as many bytes. */
function isCharacterString(text: string): boolean {
  return text.length <= 255 && Array.from(text).every((one) => (one.codePointAt(0) ?? 0) < 256);
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:(\d{3})|(.))/gs, (_, code?: string, plain?: string) =>
    code === undefined ? (plain ?? "") : String.fromCharCode(Number(code)),
  );
}
