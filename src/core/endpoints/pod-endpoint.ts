import type { Endpoint } from "../../api/discovery/endpointslice.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import type { IpFamily } from "../../net/address.ts";
import { podAddressOf } from "./pod-address.ts";
import { portsKey, resolvePorts } from "./pod-ports.ts";
import type { ResolvedPort } from "./pod-ports.ts";
import { endpointKey, sliceEndpointOf } from "./slice-endpoint.ts";

/** What a Pod is for a Service in one family, before hints. */
export interface PodEndpoint {
  readonly key: string;
  readonly endpoint: Endpoint;
  readonly ports: readonly ResolvedPort[];
  /** Of `ports`. */
  readonly portsKey: string;
}

/**
 * Depends on nothing but its arguments, so that its results may be remembered.
 * @param zone of the Pod's node. @returns undefined for a Pod without an address of the family (DUAL-016).
 */
export function podEndpointOf(
  service: Service,
  pod: Pod,
  family: IpFamily,
  zone: string | undefined,
): PodEndpoint | undefined {
  const address = podAddressOf(pod, family);
  if (address === undefined) return undefined;
  const ports = resolvePorts(service, pod);
  const endpoint = sliceEndpointOf(pod, address, service, zone);
  return { key: endpointKey(endpoint), endpoint, ports, portsKey: portsKey(ports) };
}
