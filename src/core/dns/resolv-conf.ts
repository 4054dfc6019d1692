import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";

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
