import { ipFromBytes, ipToBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrAddress, cidrBits, cidrFamily } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { DomainName } from "./domain-name.ts";

/**
 * Reads `4.3.2.1.in-addr.arpa` or 32 nibbles below `ip6.arpa` (DNS-003); the name must be folded.
 * @returns undefined for any other name, such as one that stands for a part of an address.
 */
export function parseReverseName(name: DomainName): IpAddress | undefined {
  const labels = name.slice(0, -2).toReversed();
  const suffix = name.slice(-2).join(".");
  if (suffix === "in-addr.arpa" && labels.length === 4) {
    const isPlain = labels.every(
      (label) => /^(0|[1-9][0-9]{0,2})$/.test(label) && Number(label) <= 255,
    );
    return isPlain ? ipFromBytes(Uint8Array.from(labels, Number)) : undefined;
  }
  if (suffix === "ip6.arpa" && labels.length === 32) {
    if (!labels.every((label) => /^[0-9a-f]$/.test(label))) return undefined;
    const digits = labels.join("");
    return ipFromBytes(
      Uint8Array.from({ length: 16 }, (_, i) =>
        Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
      ),
    );
  }
  return undefined;
}

/** Whether a name below in-addr.arpa or ip6.arpa, folded, stands for a range of addresses: only digits of it. */
export function isPartOfAddress(name: DomainName): boolean {
  const labels = name.slice(0, -2);
  return name.at(-2) === "ip6"
    ? labels.length < 32 && labels.every((label) => /^[0-9a-f]$/.test(label))
    : labels.length < 4 && labels.every((label) => /^(0|[1-9][0-9]{0,2})$/.test(label));
}

/** The zones of a range's reverse names: several where its bits end within a label. */
export function reverseZonesOf(cidr: Cidr): readonly DomainName[] {
  const isIpv4 = cidrFamily(cidr) === "IPv4";
  const [labelBits, top] = isIpv4 ? [8, ["in-addr", "arpa"]] : [4, ["ip6", "arpa"]];
  const bits = cidrBits(cidr);
  const count = Math.ceil(bits / labelBits);
  const within = count * labelBits - bits;
  const hostBits = BigInt((isIpv4 ? 32 : 128) - count * labelBits);
  return Array.from({ length: 2 ** within }, (_, i) => {
    const bytes = ipToBytes(cidrAddress(cidr, BigInt(i) << hostBits));
    const labels = isIpv4
      ? Array.from(bytes, String)
      : Array.from(bytes, (byte) => [(byte >> 4).toString(16), (byte & 15).toString(16)]).flat();
    return [...labels.slice(0, count).toReversed(), ...top];
  });
}
