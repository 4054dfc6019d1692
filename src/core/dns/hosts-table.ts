import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { foldName, formatDomainName, isWithin, parseDomainName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import type { Reply } from "./reply.ts";
import { parseReverseName } from "./reverse-name.ts";

/** A line of hosts(5). */
export interface HostLine {
  readonly address: IpAddress;
  readonly names: readonly DomainName[];
}

/** @returns undefined for a line that is none: empty, a comment, or no address with names. */
export function parseHostLine(text: string): HostLine | undefined {
  const [first = "", ...rest] = text.replace(/#.*$/, "").trim().split(/\s+/);
  const address = parseIpAddress(first.replace(/%.*$/, ""));
  const names = rest.flatMap((name) => {
    const parsed = parseDomainName(name);
    return parsed === undefined ? [] : [foldName(parsed)];
  });
  return address === undefined || names.length === 0 ? undefined : { address, names };
}

export interface HostsOptions {
  /** Folded: only names in these are answered. */
  readonly zones: readonly DomainName[];
  readonly ttlSeconds: number;
  /** Whether addresses have their names. */
  readonly hasReverse: boolean;
  /** Names in these without a line are others' to answer; undefined: none. */
  readonly fallthrough: readonly DomainName[] | undefined;
}

/** Names with their addresses, as a hosts(5) file has them. */
export class HostsTable {
  readonly #options: HostsOptions;
  readonly #addresses = new Map<string, IpAddress[]>();
  readonly #names = new Map<IpAddress, DomainName[]>();

  constructor(lines: readonly HostLine[], options: HostsOptions) {
    this.#options = options;
    for (const { address, names } of lines) {
      for (const name of names) {
        const addresses = listAt(this.#addresses, formatDomainName(name));
        // Two records must not be the same (RFC 2181 section 5).
        if (addresses.includes(address)) continue;
        addresses.push(address);
        listAt(this.#names, address).push(name);
      }
    }
  }

  /** Names with an address: one that has two counts twice. */
  get size(): number {
    let count = 0;
    for (const addresses of this.#addresses.values()) count += addresses.length;
    return count;
  }

  /** @returns undefined when somebody else has to answer. */
  answer({ name, type }: Question): Reply | undefined {
    const { zones, ttlSeconds, fallthrough = [] } = this.#options;
    const folded = foldName(name);
    const address = parseReverseName(folded);
    if (address !== undefined) {
      // What the file does not know of addresses it leaves to others.
      const names = this.#options.hasReverse ? (this.#names.get(address) ?? []) : [];
      if (names.length === 0 || type !== TYPE.PTR) return undefined;
      const answers = names.map(
        (target): ResourceRecord => ({ name, ttlSeconds, data: { kind: "PTR", target } }),
      );
      return { rcode: RCODE.NOERROR, authoritative: true, answers };
    }
    if (!zones.some((zone) => isWithin(folded, zone))) return undefined;
    const known = this.#addresses.get(formatDomainName(folded));
    if (known === undefined) {
      const isOthers = fallthrough.some((zone) => isWithin(folded, zone));
      // Not NXDOMAIN: there is no zone behind this that could say so, nor for how long. As CoreDNS.
      return isOthers ? undefined : { rcode: RCODE.SERVFAIL };
    }
    const family = type === TYPE.A ? "IPv4" : type === TYPE.AAAA ? "IPv6" : undefined;
    const answers = known
      .filter((each) => ipFamilyOf(each) === family)
      .map(
        (each): ResourceRecord => ({
          name,
          ttlSeconds,
          data: { kind: ipFamilyOf(each) === "IPv4" ? "A" : "AAAA", address: each },
        }),
      );
    return { rcode: RCODE.NOERROR, authoritative: true, answers };
  }
}

function listAt<K, V>(map: Map<K, V[]>, key: K): V[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made: V[] = [];
  map.set(key, made);
  return made;
}
