import type { FieldError } from "../api/machinery/field-error.ts";
import { parseIpAddress } from "../net/address.ts";
import { cidrContains } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { SERVER_USER } from "./cluster-objects.ts";
import type { User } from "./exchange.ts";
import type { WriteHook } from "./write-hook.ts";

const LOOPBACK_REFUSED =
  /^Invalid value: "([^"]+)": may not be in the loopback range \(127\.0\.0\.0\/8, ::1\/128\)$/;

/**
 * EndpointSlices and Endpoints may not name loopback addresses, since that would let whoever writes them
 * reach what listens on a node for itself (CVE-2021-25737). In loopback mode Pods do have such addresses:
 * our own controllers may write them, and only those of Pods. The API server itself may name the address at
 * which it listens.
 */
export function loopbackHook(
  podCidrs: readonly Cidr[],
  mayWrite: (user: User) => boolean,
): WriteHook {
  const isAllowed = (error: FieldError, user: User) => {
    const address = parseIpAddress(LOOPBACK_REFUSED.exec(error.message)?.[1] ?? "");
    if (address === undefined) return false;
    return user === SERVER_USER || podCidrs.some((cidr) => cidrContains(cidr, address));
  };
  return {
    filterErrors: (errors, user) =>
      user === SERVER_USER || mayWrite(user)
        ? errors.filter((error) => !isAllowed(error, user))
        : errors,
  };
}
