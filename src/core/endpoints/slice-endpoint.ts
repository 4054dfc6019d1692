import type { Endpoint } from "../../api/discovery/endpointslice.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import type { IpAddress } from "../../net/address.ts";
import { isPodReady, isTerminating } from "./pod-address.ts";

export const ZONE_LABEL = "topology.kubernetes.io/zone";

/** The endpoint that a Pod is for a Service (EPS-022..027). */
export function sliceEndpointOf(
  pod: Pod,
  address: IpAddress,
  service: Service,
  zone: string | undefined,
): Endpoint {
  const serving = isPodReady(pod);
  const terminating = isTerminating(pod);
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const hostname = endpointHostnameOf(pod, service);
  const { nodeName = "" } = pod.spec;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    targetRef: {
      kind: "Pod",
      namespace: pod.metadata.namespace,
      name: pod.metadata.name,
      uid: pod.metadata.uid,
    },
    ...(nodeName === "" ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** A Pod that names this Service as its subdomain is found in DNS by its host name (EPS-027). */
function endpointHostnameOf(pod: Pod, service: Service): string | undefined {
  const { hostname = "", subdomain } = pod.spec;
  const isNamed = hostname !== "" && subdomain === service.metadata.name;
  return isNamed && pod.metadata.namespace === service.metadata.namespace ? hostname : undefined;
}

/** Which endpoint of a slice is which Pod's: a Pod that is made anew is another endpoint. */
export function endpointKey(endpoint: Endpoint): string {
  const { uid, name } = endpoint.targetRef ?? {};
  return uid ?? name ?? endpoint.addresses.join();
}

export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.addresses.length === b.addresses.length &&
    a.addresses.every((address, i) => address === b.addresses[i]) &&
    a.conditions.ready === b.conditions.ready &&
    a.conditions.serving === b.conditions.serving &&
    a.conditions.terminating === b.conditions.terminating &&
    a.hostname === b.hostname &&
    a.nodeName === b.nodeName &&
    a.zone === b.zone &&
    a.targetRef?.kind === b.targetRef?.kind &&
    a.targetRef?.namespace === b.targetRef?.namespace &&
    a.targetRef?.name === b.targetRef?.name &&
    a.targetRef?.uid === b.targetRef?.uid &&
    isSameHints(a, b)
  );
}

function isSameHints({ hints: a }: Endpoint, { hints: b }: Endpoint): boolean {
  return (
    a === b || (isSameNames(a?.forZones, b?.forZones) && isSameNames(a?.forNodes, b?.forNodes))
  );
}

function isSameNames(
  a: readonly { readonly name: string }[] = [],
  b: readonly { readonly name: string }[] = [],
): boolean {
  return a.length === b.length && a.every(({ name }, i) => name === b[i]?.name);
}
