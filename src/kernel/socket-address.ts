import { ipFamilyOf, ipFromBytes, ipToBytes } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;
/** Of `struct sockaddr_in6`, the longer one. */
export const SOCKET_ADDRESS_BYTES = 28;

/**
 * Writes `struct sockaddr_in` (16 bytes) or `struct sockaddr_in6` (28 bytes) as Linux has it on a little-endian
 * machine: the family in the machine's order, the port in the network's.
 */
export function encodeSocketAddress(address: IpAddress, port: number): Uint8Array {
  const isIpv6 = ipFamilyOf(address) === "IPv6";
  const bytes = new Uint8Array(isIpv6 ? SOCKET_ADDRESS_BYTES : 16);
  bytes[0] = isIpv6 ? AF_INET6 : AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ipToBytes(address), isIpv6 ? 8 : 4);
  return bytes;
}

/** The inverse of {@link encodeSocketAddress}. @returns undefined for another family. */
export function decodeSocketAddress(
  bytes: Uint8Array,
): { readonly address: IpAddress; readonly port: number } | undefined {
  const family = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (family === AF_INET && bytes.length >= 16) {
    return { address: ipFromBytes(bytes.subarray(4, 8)), port };
  }
  if (family === AF_INET6 && bytes.length >= SOCKET_ADDRESS_BYTES) {
    return { address: ipFromBytes(bytes.subarray(8, 24)), port };
  }
  return undefined;
}
