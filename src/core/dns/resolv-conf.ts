import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { foldName, parseDomainName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";

/** glibc's MAXNS: what is listed beyond is never asked. */
const MAX_NAME_SERVERS = 3;

/**
 * The name servers of a resolv.conf(5) in their order. Addresses that are valid on one link only
 * (`fe80::1%eth0`) and lines that cannot be read are passed over, as the C library does.
 */
export function parseNameServers(text: string): readonly IpAddress[] {
  return text
    .split("\n")
    .flatMap((line) => {
      const value = /^nameserver[ \t]+(\S+)/.exec(line)?.[1];
      return value === undefined ? [] : (parseIpAddress(value) ?? []);
    })
    .slice(0, MAX_NAME_SERVERS);
}

/** The domains that a resolv.conf(5) has names completed with: of its last `search` or `domain` line. */
export function parseSearchDomains(text: string): readonly DomainName[] {
  const lines = [...text.matchAll(/^(?:search|domain)[ \t]+(.+)$/gm)];
  const words =
    lines
      .at(-1)?.[1]
      ?.trim()
      .split(/[ \t]+/) ?? [];
  return words.flatMap((word) => {
    const name = parseDomainName(word);
    return name === undefined || name.length === 0 ? [] : [foldName(name)];
  });
}
