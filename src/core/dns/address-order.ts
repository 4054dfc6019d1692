import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { foldName, formatDomainName, parseDomainName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import type { ResourceRecord } from "./message.ts";

/** By a name, written out in small letters: how often each address comes first, compared with the others. */
export type AddressWeights = ReadonlyMap<string, ReadonlyMap<IpAddress, number>>;

/** CoreDNS's `loadbalance`, where it does more than to let addresses take turns. */
export interface AddressOrder {
  /** Addresses in the first of these come first, then those in the second, ...; those in none last. */
  readonly prefer: readonly Cidr[];
  readonly weights: AddressWeights | undefined;
}

/**
 * The addresses of an answer in another order; other records stay before them, since aliases have to (RFC 1034
 * section 3.6.2 lets clients stop reading).
 * @param random in [0, 1).
 */
export function orderedAnswers(
  answers: readonly ResourceRecord[],
  asked: DomainName,
  { prefer, weights }: AddressOrder,
  random: number,
): readonly ResourceRecord[] {
  const isAddress = ({ data }: ResourceRecord): boolean =>
    data.kind === "A" || data.kind === "AAAA";
  const others = answers.filter((record) => !isAddress(record));
  let addresses = answers.filter(isAddress);
  const weightOf = weights?.get(formatDomainName(foldName(asked)));
  if (weightOf !== undefined) addresses = withFirst(addresses, weightOf, random);
  if (prefer.length > 0)
    addresses = addresses.toSorted((a, b) => rank(a, prefer) - rank(b, prefer));
  return [...others, ...addresses];
}

function withFirst(
  addresses: readonly ResourceRecord[],
  weights: ReadonlyMap<IpAddress, number>,
  random: number,
): ResourceRecord[] {
  const each = addresses.map((record) => {
    const address = addressOf(record);
    return { record, weight: (address && weights.get(address)) ?? 1 };
  });
  let left = random * each.reduce((sum, { weight }) => sum + weight, 0);
  const chosen = each.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  if (chosen === undefined) return [...addresses];
  return [chosen.record, ...addresses.filter((record) => record !== chosen.record)];
}

function rank(record: ResourceRecord, prefer: readonly Cidr[]): number {
  const address = addressOf(record);
  const at = prefer.findIndex((cidr) => address !== undefined && cidrContains(cidr, address));
  return at === -1 ? prefer.length : at;
}

function addressOf({ data }: ResourceRecord): IpAddress | undefined {
  return "address" in data ? data.address : undefined;
}

/**
 * Reads a file of weights: a line with a name, then one for each of its addresses with its weight from 1 to 255;
 * `#` begins a comment.
 * @returns the line that is wrong, from 1.
 */
export function parseAddressWeights(text: string): AddressWeights | { readonly line: number } {
  const found = new Map<string, Map<IpAddress, number>>();
  let current: Map<IpAddress, number> | undefined;
  for (const [i, line] of text.split("\n").entries()) {
    const words = line
      .replace(/#.*$/, "")
      .trim()
      .split(/\s+/)
      .filter((word) => word !== "");
    const [first = "", second = ""] = words;
    if (words.length === 0) continue;
    if (words.length === 1) {
      const name = parseDomainName(first);
      if (name === undefined || parseIpAddress(first) !== undefined) return { line: i + 1 };
      const key = formatDomainName(foldName(name));
      current = found.get(key) ?? new Map<IpAddress, number>();
      found.set(key, current);
      continue;
    }
    const address = parseIpAddress(first);
    const weight = /^\d{1,3}$/.test(second) ? Number(second) : 0;
    const isWeight = weight >= 1 && weight <= 255 && words.length === 2;
    if (address === undefined || current === undefined || !isWeight) return { line: i + 1 };
    current.set(address, weight);
  }
  return found;
}
