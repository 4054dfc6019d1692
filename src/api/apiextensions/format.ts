import { parseIpAddress } from "../../net/address.ts";
import { ipFamilyOf } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import { dnsLabelProblems, dnsSubdomainProblems } from "../../net/names.ts";
import { parseTimestamp } from "../machinery/time.ts";

/** Nothing that has a format is longer; the checks run over text from strangers. */
const MAX_LENGTH = 64 * 1024;

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const UUID3 = /^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const UUID4 = /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i;
const UUID5 = /^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i;
const HOSTNAME =
  /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*\.?$/;
const CARD =
  /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/;
/** Go's: a sign, then numbers with units. */
const GO_DURATION = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)/;
const SCALA_DURATION =
  /^\d+\s*(?:ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)$/;

const CHECKS: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (text) => /^[0-9a-f]{24}$/i.test(text),
  uri: isUri,
  email: (text) => /^[^\s@<>()[\],;:\\"]+@[^\s@<>()[\],;:\\"]+$/.test(text),
  hostname: (text) => text.length <= 253 && HOSTNAME.test(text),
  ipv4: (text) => familyOf(text) === "IPv4",
  ipv6: (text) => familyOf(text) === "IPv6",
  cidr: (text) => parseCidr(text) !== undefined,
  mac: (text) =>
    /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2})$/i.test(
      text,
    ),
  uuid: (text) => UUID.test(text),
  uuid3: (text) => UUID3.test(text),
  uuid4: (text) => UUID4.test(text),
  uuid5: (text) => UUID5.test(text),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: (text) => CARD.test(text.replaceAll(/\D/g, "")),
  ssn: (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: (text) => /^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i.test(text),
  rgbcolor: isRgb,
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  date: (text) => parseTimestamp(`${text}T00:00:00Z`) !== undefined && text.length === 10,
  "date-time": (text) => parseTimestamp(text) !== undefined,
  datetime: (text) => parseTimestamp(text) !== undefined,
  duration: isDuration,
  "k8s-short-name": (text) => dnsLabelProblems(text).length === 0,
  "k8s-long-name": (text) => dnsSubdomainProblems(text).length === 0,
};

/** Whether text has a format of OpenAPI; true for formats that nobody checks, as upstream. */
export function hasFormat(text: string, format: string): boolean {
  const check = Object.hasOwn(CHECKS, format) ? CHECKS[format] : undefined;
  return check === undefined || (text.length <= MAX_LENGTH && check(text));
}

function familyOf(text: string): string | undefined {
  const address = parseIpAddress(text);
  return address && ipFamilyOf(address);
}

/** As Go's `url.ParseRequestURI`: an absolute path, or a scheme and something after it. */
function isUri(text: string): boolean {
  if (!/^[!-~\u0080-\u{10ffff}]+$/u.test(text) || /%(?![0-9a-f]{2})/i.test(text)) return false;
  return text.startsWith("/") || /^[a-z][a-z0-9+.-]*:./i.test(text);
}

function isDuration(text: string): boolean {
  if (text === "0" || SCALA_DURATION.test(text)) return true;
  let rest = text;
  while (rest !== "") {
    const part = GO_DURATION.exec(rest)?.[0];
    if (part === undefined || (rest !== text && /^[-+]/.test(part))) return false;
    rest = rest.slice(part.length);
  }
  return text !== "";
}

function isRgb(text: string): boolean {
  const match =
    /^rgb\(\s{0,9}(\d{1,3})\s{0,9},\s{0,9}(\d{1,3})\s{0,9},\s{0,9}(\d{1,3})\s{0,9}\)$/.exec(text);
  return match !== null && match.slice(1).every((part) => Number(part) <= 255);
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[- ]/g, "");
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  const sum = Array.from(digits).reduce(
    (all, c, i) => all + (c === "X" ? 10 : Number(c)) * (10 - i),
    0,
  );
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[- ]/g, "");
  if (!/^\d{13}$/.test(digits)) return false;
  return (
    Array.from(digits).reduce((all, c, i) => all + Number(c) * (i % 2 === 0 ? 1 : 3), 0) % 10 === 0
  );
}
