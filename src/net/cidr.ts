import { ipFamilyOf, ipFromBigInt, ipToBigInt, parseIpAddress } from "./address.ts";
import type { IpAddress, IpFamily } from "./address.ts";

/** A range of addresses `address/bits` with no host bits set. Made only by {@link parseCidr}. */
export type Cidr = string & { readonly __brand: "Cidr" };

/** Reads a CIDR and clears its host bits. @returns undefined when the text is not a CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = parseIpAddress(match?.[1] ?? "");
  if (address === undefined) return undefined;
  const bits = Number(match?.[2]);
  if (bits > widthOf(ipFamilyOf(address))) return undefined;
  const family = ipFamilyOf(address);
  const hostBits = BigInt(widthOf(family) - bits);
  const first = ipFromBigInt(family, (ipToBigInt(address) >> hostBits) << hostBits);
  return brand(`${first}/${String(bits)}`);
}

/** The range that holds this address alone. */
export function singleAddress(address: IpAddress): Cidr {
  return brand(`${address}/${String(widthOf(ipFamilyOf(address)))}`);
}

export function cidrFamily(cidr: Cidr): IpFamily {
  return cidr.includes(":") ? "IPv6" : "IPv4";
}

/** How many addresses the range has, first and last included. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << BigInt(widthOf(cidrFamily(cidr)) - cidrBits(cidr));
}

/** The prefix length. */
export function cidrBits(cidr: Cidr): number {
  return Number(cidr.slice(cidr.indexOf("/") + 1));
}

/** The address at `offset` from the range's first one. */
export function cidrAddress(cidr: Cidr, offset: bigint): IpAddress {
  return ipFromBigInt(cidrFamily(cidr), firstOf(cidr) + offset);
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (ipFamilyOf(address) !== cidrFamily(cidr)) return false;
  const offset = ipToBigInt(address) - firstOf(cidr);
  return offset >= 0n && offset < cidrSize(cidr);
}

export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return cidrContains(a, cidrAddress(b, 0n)) || cidrContains(b, cidrAddress(a, 0n));
}

// The only cast to Cidr.
function brand(text: string): Cidr {
  return text as Cidr;
}

function firstOf(cidr: Cidr): bigint {
  const first = parseIpAddress(cidr.slice(0, cidr.indexOf("/")));
  if (first === undefined) throw new Error(`not a canonical CIDR: ${cidr}`);
  return ipToBigInt(first);
}

function widthOf(family: IpFamily): number {
  return family === "IPv4" ? 32 : 128;
}
