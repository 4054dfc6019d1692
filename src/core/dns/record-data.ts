import { ipFromBytes } from "../../net/address.ts";
import { latin1, readName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { TYPE } from "./message.ts";
import type { RecordData } from "./message.ts";

/**
 * Where names stand in the data of types that we pass on without understanding: a number is that many
 * bytes, "text" a length byte and as many; what is left follows as bytes. A sender may have compressed these names (RFC 3597 section 4), so that they
 * must be read out before the bytes can move to another message. Types not listed have no such names.
 */
const LAYOUTS: ReadonlyMap<number, readonly (number | "name" | "text")[]> = new Map([
  [7, ["name"]], // MB
  [8, ["name"]], // MG
  [9, ["name"]], // MR
  [14, ["name", "name"]], // MINFO
  [15, [2, "name"]], // MX
  [17, ["name", "name"]], // RP
  [18, [2, "name"]], // AFSDB
  [21, [2, "name"]], // RT
  [26, [2, "name", "name"]], // PX
  [35, [4, "text", "text", "text", "name"]], // NAPTR
  [36, [2, "name"]], // KX
  [39, ["name"]], // DNAME
]);

/**
 * Reads a record's data, which fills `bytes[start..end)` exactly.
 * @returns undefined when it is malformed.
 */
export function readRecordData(
  bytes: Uint8Array,
  type: number,
  start: number,
  end: number,
): RecordData | undefined {
  switch (type) {
    case TYPE.A:
      return end - start === 4
        ? { kind: "A", address: ipFromBytes(bytes.subarray(start, end)) }
        : undefined;
    case TYPE.AAAA:
      return end - start === 16
        ? { kind: "AAAA", address: ipFromBytes(bytes.subarray(start, end)) }
        : undefined;
    case TYPE.CNAME:
      return withTarget(bytes, start, end, (target) => ({ kind: "CNAME", target }));
    case TYPE.NS:
      return withTarget(bytes, start, end, (target) => ({ kind: "NS", target }));
    case TYPE.PTR:
      return withTarget(bytes, start, end, (target) => ({ kind: "PTR", target }));
    case TYPE.SRV:
      return withTarget(bytes, start + 6, end, (target) => ({
        kind: "SRV",
        priority: uint(bytes, start, 2),
        weight: uint(bytes, start + 2, 2),
        port: uint(bytes, start + 4, 2),
        target,
      }));
    case TYPE.TXT:
      return readTxt(bytes, start, end);
    case TYPE.SOA:
      return readSoa(bytes, start, end);
    default:
      return readOther(bytes, type, start, end);
  }
}

function withTarget(
  bytes: Uint8Array,
  offset: number,
  end: number,
  data: (target: DomainName) => RecordData,
): RecordData | undefined {
  const read = readName(bytes, offset, "follow");
  return read?.end === end ? data(read.name) : undefined;
}

function readTxt(bytes: Uint8Array, start: number, end: number): RecordData | undefined {
  const strings: string[] = [];
  let position = start;
  while (position < end) {
    const next = position + 1 + (bytes[position] ?? 0);
    if (next > end) return undefined;
    strings.push(latin1(bytes, position + 1, next));
    position = next;
  }
  return strings.length === 0 ? undefined : { kind: "TXT", strings };
}

function readSoa(bytes: Uint8Array, start: number, end: number): RecordData | undefined {
  const mname = readName(bytes, start, "follow");
  if (mname === undefined) return undefined;
  const rname = readName(bytes, mname.end, "follow");
  if (rname === undefined || rname.end + 20 !== end) return undefined;
  const number = (i: number): number => uint(bytes, rname.end + 4 * i, 4);
  return {
    kind: "SOA",
    mname: mname.name,
    rname: rname.name,
    serial: number(0),
    refreshSeconds: number(1),
    retrySeconds: number(2),
    expireSeconds: number(3),
    minimumSeconds: number(4),
  };
}

function readOther(
  bytes: Uint8Array,
  type: number,
  start: number,
  end: number,
): RecordData | undefined {
  const parts: (Uint8Array | DomainName)[] = [];
  let position = start;
  for (const step of LAYOUTS.get(type) ?? []) {
    if (step === "name") {
      const read = readName(bytes, position, "follow");
      if (read === undefined) return undefined;
      parts.push(read.name);
      position = read.end;
    } else {
      const length = step === "text" ? 1 + (bytes[position] ?? 0) : step;
      parts.push(bytes.slice(position, position + length));
      position += length;
    }
    if (position > end) return undefined;
  }
  if (position < end) parts.push(bytes.slice(position, end));
  return { kind: "other", type, parts };
}

function uint(bytes: Uint8Array, offset: number, length: 2 | 4): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}
