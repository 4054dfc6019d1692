import type { FieldError } from "../api/machinery/field-error.ts";
import { parseIpAddress } from "../net/address.ts";
import { cidrContains } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import type { User } from "./exchange.ts";
import type { WriteHook } from "./write-hook.ts";

const LOOPBACK_REFUSED =
  /^Invalid value: "([^"]+)": may not be in the loopback range \(127\.0\.0\.0\/8, ::1\/128\)$/;

/**
 * EndpointSlices and Endpoints may not name loopback addresses, since that would let whoever writes them
 * reach what listens on a node for itself (CVE-2021-25737). In loopback mode Pods do have such addresses:
 * our own controllers may write them, and only those of Pods.
 */
export function loopbackHook(
  podCidrs: readonly Cidr[],
  mayWrite: (user: User) => boolean,
): WriteHook {
  const isOurs = (error: FieldError) => {
    const text = LOOPBACK_REFUSED.exec(error.message)?.[1];
    const address = text === undefined ? undefined : parseIpAddress(text);
    return address !== undefined && podCidrs.some((cidr) => cidrContains(cidr, address));
  };
  return {
    filterErrors: (errors, user) =>
      mayWrite(user) ? errors.filter((error) => !isOurs(error)) : errors,
  };
}
