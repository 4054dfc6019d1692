import { ipFamilyOf, ipToBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Protocol } from "../../api/v1/service.ts";
import type { Frontend } from "../../core/proxy/frontend.ts";

/** IANA's numbers. */
const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Bytes of `address . protocol . port`, each part padded to four. */
export function frontendBytes(
  frontend: Pick<Frontend, "address" | "protocol" | "port">,
): Uint8Array {
  const width = addressWidth(frontend.address);
  const bytes = new Uint8Array(width + 8);
  putAddress(bytes, 0, frontend.address);
  bytes[width] = PROTOCOL_NUMBER[frontend.protocol];
  putPort(bytes, width + 4, frontend.port);
  return bytes;
}

/** Bytes of `address . port`. */
export function endpointBytes(endpoint: {
  readonly address: IpAddress;
  readonly port: number;
}): Uint8Array {
  const width = addressWidth(endpoint.address);
  const bytes = new Uint8Array(width + 4);
  putAddress(bytes, 0, endpoint.address);
  putPort(bytes, width, endpoint.port);
  return bytes;
}

/** One or two numbers of 32 bits as registers hold them. */
export function words(first: number, second?: number): Uint8Array {
  const bytes = new Uint8Array(second === undefined ? 4 : 8);
  putWord(bytes, 0, first);
  if (second !== undefined) putWord(bytes, 4, second);
  return bytes;
}

/** `number . address`, the number in network order as in sets of ranges. */
export function rangeKey(number: number, address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + address.length);
  new DataView(bytes.buffer).setUint32(0, number);
  bytes.set(address, 4);
  return bytes;
}

export function addressBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(addressWidth(address));
  putAddress(bytes, 0, address);
  return bytes;
}

/** The address twice. */
export function pairBytes(address: IpAddress): Uint8Array {
  const width = addressWidth(address);
  const bytes = new Uint8Array(2 * width);
  putAddress(bytes, 0, address);
  bytes.copyWithin(width, 0, width);
  return bytes;
}

function addressWidth(address: IpAddress): number {
  return ipFamilyOf(address) === "IPv4" ? 4 : 16;
}

function putAddress(into: Uint8Array, at: number, address: IpAddress): void {
  if (ipFamilyOf(address) === "IPv6") {
    into.set(ipToBytes(address), at);
    return;
  }
  // By hand: a cold start writes hundreds of thousands.
  let octet = 0;
  let index = at;
  for (let i = 0; i < address.length; i++) {
    const digit = address.charCodeAt(i) - 0x30;
    if (digit >= 0) octet = 10 * octet + digit;
    else {
      into[index++] = octet;
      octet = 0;
    }
  }
  into[index] = octet;
}

function putPort(into: Uint8Array, at: number, port: number): void {
  into[at] = port >> 8;
  into[at + 1] = port & 0xff;
}

function putWord(into: Uint8Array, at: number, word: number): void {
  into[at] = word & 0xff;
  into[at + 1] = (word >>> 8) & 0xff;
  into[at + 2] = (word >>> 16) & 0xff;
  into[at + 3] = word >>> 24;
}
