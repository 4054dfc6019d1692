import type { EndpointAddress, EndpointsPort, EndpointSubset } from "../../api/v1/endpoints.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { Service } from "../../api/v1/service.ts";
import type { Endpoint } from "../../api/discovery/endpointslice.ts";
import { isPodReady, isTerminal, isTerminating } from "./pod-address.ts";
import { podEndpointOf } from "./pod-endpoint.ts";
import type { ResolvedPort } from "./pod-ports.ts";
import { familiesOf } from "./slices.ts";

/** EP-012: an Endpoints object names no more addresses than this. */
const MAX_ENDPOINTS_ADDRESSES = 1000;

interface Subset {
  readonly ports: readonly ResolvedPort[];
  addresses: EndpointAddress[];
  notReadyAddresses: EndpointAddress[];
}

/**
 * The Service's Pods in the old form (EP-004..012): Pods that serve the same ports share a subset; subsets,
 * ports and addresses are sorted, so that equal observations give equal values.
 */
export function endpointSubsetsOf(
  service: Service,
  pods: readonly Pod[],
  endpointOf: typeof podEndpointOf = podEndpointOf,
): { readonly subsets: readonly EndpointSubset[]; readonly isTruncated: boolean } {
  const publishesAll = service.spec.publishNotReadyAddresses === true;
  const [family = "IPv4"] = familiesOf(service);
  const isPortless =
    (service.spec.ports ?? []).length === 0 && service.spec.clusterIP === CLUSTER_IP_NONE;
  const byPorts = new Map<string, Subset>();
  for (const pod of pods) {
    if (isTerminal(pod) || (isTerminating(pod) && !publishesAll)) continue;
    const found = endpointOf(service, pod, family, undefined);
    if (found === undefined || (found.ports.length === 0 && !isPortless)) continue;
    const { ports, portsKey: key, endpoint } = found;
    const subset = byPorts.get(key) ?? { ports, addresses: [], notReadyAddresses: [] };
    byPorts.set(key, subset);
    const list = publishesAll || isPodReady(pod) ? subset.addresses : subset.notReadyAddresses;
    list.push(addressOf(endpoint));
  }
  const subsets = [...byPorts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, subset]) => subset);
  for (const subset of subsets) {
    subset.addresses.sort(compareAddresses);
    subset.notReadyAddresses.sort(compareAddresses);
  }
  const isTruncated = truncate(subsets);
  return { subsets: subsets.map((subset) => render(subset)), isTruncated };
}

function addressOf({ addresses, hostname, nodeName, targetRef }: Endpoint): EndpointAddress {
  const [ip = ""] = addresses;
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef,
  };
}

function render({ ports, addresses, notReadyAddresses }: Subset): EndpointSubset {
  return {
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
    ...(ports.length === 0 ? {} : { ports: ports.map((port) => renderPort(port)) }),
  };
}

function renderPort({ name, ...rest }: ResolvedPort): EndpointsPort {
  return name === "" ? rest : { name, ...rest };
}

/** Ready ones first, and each subset its share, rounded up until the room is used (EP-012). */
function truncate(subsets: readonly Subset[]): boolean {
  const ready = subsets.reduce((sum, { addresses }) => sum + addresses.length, 0);
  const unready = subsets.reduce((sum, { notReadyAddresses }) => sum + notReadyAddresses.length, 0);
  if (ready + unready <= MAX_ENDPOINTS_ADDRESSES) return false;
  const cutsReady = ready > MAX_ENDPOINTS_ADDRESSES;
  const room = cutsReady ? MAX_ENDPOINTS_ADDRESSES : MAX_ENDPOINTS_ADDRESSES - ready;
  const total = cutsReady ? ready : unready;
  let left = room;
  for (const subset of subsets) {
    const list = cutsReady ? subset.addresses : subset.notReadyAddresses;
    const share = Math.min(left, Math.ceil((list.length / total) * room));
    left -= share;
    list.length = share;
    if (cutsReady) subset.notReadyAddresses = [];
  }
  return true;
}

function compareAddresses(a: EndpointAddress, b: EndpointAddress): number {
  if (a.ip !== b.ip) return a.ip < b.ip ? -1 : 1;
  return (a.targetRef?.uid ?? "") < (b.targetRef?.uid ?? "") ? -1 : 1;
}
