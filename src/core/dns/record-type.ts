import { TYPE } from "./message.ts";

/** Types by the names that people use (IANA "DNS Parameters"); those that records here are made of among them. */
const NUMBERS: Readonly<Record<string, number>> = {
  ...TYPE,
  MX: 15,
  LOC: 29,
  NAPTR: 35,
  DNAME: 39,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  TLSA: 52,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  URI: 256,
  CAA: 257,
};
const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name]));

/** `A`, or `TYPE1234` for a type that has no name here (RFC 3597 section 5). */
export function formatType(type: number): string {
  return NAMES.get(type) ?? `TYPE${String(type)}`;
}

/** The inverse of {@link formatType}, in any letters. @returns undefined when there is no such type. */
export function parseType(text: string): number | undefined {
  const name = text.toUpperCase();
  if (Object.hasOwn(NUMBERS, name)) return NUMBERS[name];
  const number = Number(/^TYPE(\d{1,5})$/.exec(name)?.[1] ?? Number.NaN);
  return number <= 0xffff ? number : undefined;
}

const CLASSES: Readonly<Record<string, number>> = { IN: 1, CH: 3, HS: 4 };

/** `IN`, or `CLASS254` for a class that has no name here (RFC 3597 section 5). */
export function formatClass(ofClass: number): string {
  const known = Object.entries(CLASSES).find(([, number]) => number === ofClass);
  return known?.[0] ?? `CLASS${String(ofClass)}`;
}

/** `IN`, `CH` or `HS`, in any letters. @returns undefined for all else. */
export function parseClass(text: string): number | undefined {
  const name = text.toUpperCase();
  return Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
}
