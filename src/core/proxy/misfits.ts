import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";

const COMMON_IPV4 = /^1?\d?\d\.1?\d?\d\.1?\d?\d\.1?\d?\d$/;

/**
 * Addresses of endpoints that are none of the slice's family: nobody can be sent there. API servers refuse such
 * slices, but not all versions of all of them always did.
 */
export function misfitsOf(slice: EndpointSlice): readonly string[] {
  const family = slice.addressType;
  if (family !== "IPv4" && family !== "IPv6") return [];
  const misfits: string[] = [];
  for (const { addresses } of slice.endpoints ?? []) {
    const [text = ""] = addresses;
    // Quick for the many: a cold start asks for each endpoint.
    if (family === "IPv4" && COMMON_IPV4.test(text)) continue;
    const address = parseIpAddress(text);
    if (address === undefined || ipFamilyOf(address) !== family) misfits.push(text);
  }
  return misfits;
}
