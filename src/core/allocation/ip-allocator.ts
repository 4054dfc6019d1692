import { ipFamilyOf } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrAddress, cidrContains, cidrFamily, cidrSize } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";

/** Which addresses somebody holds; a Set will do. */
export interface UsedAddresses {
  has(address: IpAddress): boolean;
}

export type IpAllocation =
  | { readonly kind: "allocated"; readonly ip: IpAddress }
  | { readonly kind: "taken" }
  | { readonly kind: "outOfRange" }
  | { readonly kind: "exhausted" };

/**
 * Size of the band at the start of a range that is kept for requests by address (KEP-3070, ALLOC-007):
 * a sixteenth of the range within 16..256, and none at all in a range of 16 or fewer.
 */
export function staticBandSize(rangeSize: bigint): bigint {
  if (rangeSize <= 16n) return 0n;
  const sixteenth = rangeSize / 16n;
  if (sixteenth < 16n) return 16n;
  return sixteenth > 256n ? 256n : sixteenth;
}

/**
 * Picks a free address (ALLOC-005, 007, 009): from above the static band, starting anywhere and going
 * round, and from the band itself only when all above it are held.
 * @param random a number in [0, 1), the place to start.
 */
export function allocateIp(cidr: Cidr, used: UsedAddresses, random: number): IpAllocation {
  const { first, end } = usableOffsets(cidr);
  const bandEnd = clamp(staticBandSize(cidrSize(cidr)), first, end);
  const ip =
    findFree(cidr, bandEnd, end, used, random) ?? findFree(cidr, first, bandEnd, used, random);
  return ip === undefined ? { kind: "exhausted" } : { kind: "allocated", ip };
}

/** Claims the address asked for, in the static band or out of it (ALLOC-008). */
export function claimIp(cidr: Cidr, used: UsedAddresses, ip: IpAddress): IpAllocation {
  if (!isUsable(cidr, ip)) return { kind: "outOfRange" };
  return used.has(ip) ? { kind: "taken" } : { kind: "allocated", ip };
}

/** Inside the range and neither its first address nor, in IPv4, its last. */
function isUsable(cidr: Cidr, ip: IpAddress): boolean {
  if (ipFamilyOf(ip) !== cidrFamily(cidr) || !cidrContains(cidr, ip)) return false;
  if (ip === cidrAddress(cidr, 0n)) return false;
  return cidrFamily(cidr) === "IPv6" || ip !== cidrAddress(cidr, cidrSize(cidr) - 1n);
}

function usableOffsets(cidr: Cidr): { readonly first: bigint; readonly end: bigint } {
  const size = cidrSize(cidr);
  const end = cidrFamily(cidr) === "IPv4" ? size - 1n : size;
  return { first: 1n, end: end < 1n ? 1n : end };
}

function findFree(
  cidr: Cidr,
  first: bigint,
  end: bigint,
  used: UsedAddresses,
  random: number,
): IpAddress | undefined {
  const count = end - first;
  if (count <= 0n) return undefined;
  const start = scale(random, count);
  for (let i = 0n; i < count; i++) {
    const ip = cidrAddress(cidr, first + ((start + i) % count));
    if (!used.has(ip)) return ip;
  }
  return undefined;
}

/** A number in [0, 1) as an offset in [0, count): all 53 bits of it count, for ranges up to 2^64. */
function scale(random: number, count: bigint): bigint {
  return (BigInt(Math.floor(random * 2 ** 53)) * count) >> 53n;
}

function clamp(value: bigint, low: bigint, high: bigint): bigint {
  if (value < low) return low;
  return value > high ? high : value;
}
