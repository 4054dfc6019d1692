import type { FieldError } from "../api/machinery/field-error.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
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
  const isAllowed = (error: FieldError, user: User, old: KubernetesObject | undefined) => {
    const text = LOOPBACK_REFUSED.exec(error.message)?.[1] ?? "";
    const address = parseIpAddress(text);
    if (address === undefined) return false;
    // Whoever changes something else, such as a label, does not put the address there.
    if (old !== undefined && JSON.stringify(old).includes(JSON.stringify(text))) return true;
    if (user === SERVER_USER) return true;
    return mayWrite(user) && podCidrs.some((cidr) => cidrContains(cidr, address));
  };
  return {
    filterErrors: (errors, user, old) => errors.filter((error) => !isAllowed(error, user, old)),
  };
}
