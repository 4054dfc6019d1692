import { invalid } from "../api/machinery/field-error.ts";
import type { FieldError } from "../api/machinery/field-error.ts";
import { LOOPBACK_REFUSED } from "../api/machinery/address.validation.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { Endpoints } from "../api/v1/endpoints.ts";
import { isLoopback, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrContains } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { SERVER_USER } from "./cluster-objects.ts";
import type { User } from "./exchange.ts";
import type { WriteHook } from "./write-hook.ts";

/** An address that an object names, and where. */
interface Named {
  readonly text: string;
  readonly field: string;
}

/**
 * EndpointSlices and Endpoints may not name loopback addresses, since that would let whoever writes them
 * reach what listens on a node for itself (CVE-2021-25737). In loopback mode Pods do have such addresses:
 * the kinds admit them in the ranges they were made for, and this hook refuses each that is new in the object
 * unless the user is one of our own controllers and the address is a Pod's. The API server itself may name
 * the address at which it listens. Who changes something else, such as a label, does not put the address there.
 */
export function loopbackHook<T extends KubernetesObject>(
  addressesOf: (object: T) => readonly Named[],
  podCidrs: readonly Cidr[],
  mayWrite: (user: User) => boolean,
): WriteHook {
  // The hook is registered for one kind, whose schema decoded the object.
  const loopbackOf = (object: KubernetesObject) => loopbackAddresses(addressesOf(object as T));
  return {
    validate(object, old, user): readonly FieldError[] {
      if (user === SERVER_USER) return [];
      const named = loopbackOf(object);
      if (named.length === 0) return [];
      const before = new Set(old === undefined ? [] : loopbackOf(old).map(({ ip }) => ip));
      const isPod = (ip: IpAddress) => podCidrs.some((cidr) => cidrContains(cidr, ip));
      return named
        .filter(({ ip }) => !before.has(ip) && !(mayWrite(user) && isPod(ip)))
        .map(({ ip, field }) => invalid(field, ip, LOOPBACK_REFUSED));
    },
  };
}

/** Addresses of an EndpointSlice, in the order of its validation. */
export function sliceAddresses({ endpoints }: EndpointSlice): readonly Named[] {
  return endpoints.flatMap(({ addresses }, i) =>
    addresses.map((text, j) => ({
      text,
      field: `endpoints[${String(i)}].addresses[${String(j)}]`,
    })),
  );
}

/** Addresses of an Endpoints object, in the order of its validation. */
export function endpointsAddresses({ subsets = [] }: Endpoints): readonly Named[] {
  return subsets.flatMap((subset, i) =>
    (["addresses", "notReadyAddresses"] as const).flatMap((key) =>
      (subset[key] ?? []).map(({ ip }, j) => ({
        text: ip,
        field: `subsets[${String(i)}].${key}[${String(j)}].ip`,
      })),
    ),
  );
}

function loopbackAddresses(
  named: readonly Named[],
): readonly { readonly ip: IpAddress; readonly field: string }[] {
  return named.flatMap(({ text, field }) => {
    const ip = parseIpAddress(text);
    return ip !== undefined && isLoopback(ip) ? [{ ip, field }] : [];
  });
}
