import { ipToBigInt } from "../../net/address.ts";
import { cidrAddress, cidrFamily, cidrSize } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { addressBytes } from "./key-bytes.ts";

/** From `first` up to but without `end`; undefined: to the family's last address. */
export interface AddressRange {
  readonly first: Uint8Array;
  readonly end: Uint8Array | undefined;
}

/** Ranges of one family as a set of intervals takes them: sorted, and joined where they touch. */
export function mergeRanges(ranges: readonly Cidr[]): readonly AddressRange[] {
  const spans = ranges
    .map((cidr) => {
      const start = ipToBigInt(cidrAddress(cidr, 0n));
      return { cidr, start, end: start + cidrSize(cidr) };
    })
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const merged: { cidr: Cidr; start: bigint; end: bigint }[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last === undefined || span.start > last.end) merged.push({ ...span });
    else if (span.end > last.end) last.end = span.end;
  }
  return merged.map(({ cidr, start, end }) => {
    const all = 1n << (cidrFamily(cidr) === "IPv4" ? 32n : 128n);
    return {
      first: addressBytes(cidrAddress(cidr, 0n)),
      end: end === all ? undefined : addressBytes(cidrAddress(cidr, end - start)),
    };
  });
}
