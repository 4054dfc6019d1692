import {
  isLinkLocalMulticast,
  isLinkLocalUnicast,
  isLoopback,
  isUnspecified,
  parseIpAddress,
} from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { invalid } from "./field-error.ts";
import type { FieldError } from "./field-error.ts";

/** Why a loopback address is refused where traffic would be led to it. */
export const LOOPBACK_REFUSED = "may not be in the loopback range (127.0.0.0/8, ::1/128)";

export function validateIp(text: string, path: string): readonly FieldError[] {
  return parseIpAddress(text) === undefined
    ? [invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    : [];
}

export function validateCidr(text: string, path: string): readonly FieldError[] {
  return parseCidr(text) === undefined
    ? [invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
    : [];
}

/**
 * Refuses addresses that would lead a proxy back to its own node or link (CVE-2021-25737). Loopback addresses
 * inside `loopbackAllowed` pass: Pods of the loopback mode have them.
 */
export function validateNonSpecialIp(
  address: IpAddress,
  path: string,
  loopbackAllowed: readonly Cidr[] = [],
): readonly FieldError[] {
  if (isUnspecified(address)) {
    return [invalid(path, address, `may not be unspecified (${address})`)];
  }
  if (isLoopback(address) && !loopbackAllowed.some((cidr) => cidrContains(cidr, address))) {
    return [invalid(path, address, LOOPBACK_REFUSED)];
  }
  if (isLinkLocalUnicast(address)) {
    return [
      invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    ];
  }
  if (isLinkLocalMulticast(address)) {
    return [
      invalid(
        path,
        address,
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
      ),
    ];
  }
  return [];
}
