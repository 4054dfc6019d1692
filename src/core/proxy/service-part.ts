import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Service } from "../../api/v1/service.ts";
import { IP_FAMILIES, ipFamilyOf } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import { cidrContains, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Port } from "../../net/host-port.ts";
import { portBackends } from "./choose-backends.ts";
import type { PortBackends } from "./choose-backends.ts";
import { endpointsOfPort } from "./endpoint-view.ts";
import { compareClaims, compareFrontends, compareText } from "./frontend.ts";
import type { BackendSet, Frontend, FrontendKind } from "./frontend.ts";
import { ofFamily, rangesOfFamily, serviceView } from "./service-view.ts";
import type { Remark, ServicePortView, ServiceView } from "./service-view.ts";

/** The node that a table is for. */
export interface ProxyNode {
  readonly name: string;
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone: string | undefined;
  /** Where node ports are served (NP-002). */
  readonly nodePortAddresses: readonly IpAddress[];
  /** Sources that count as Pods or as this node; all others are outside (NP-007). */
  readonly internalRanges: readonly Cidr[];
  /** `spec.externalIPs` are left to the network, as anybody may name any address there (EXT-004); default served. */
  readonly ignoresExternalIPs?: boolean;
}

/** What one Service contributes to the table; depends on no other Service. */
export interface ServicePart {
  readonly service: ObjectKey;
  /** In table order, each address and port once. Empty for a Service that this proxy ignores. */
  readonly frontends: readonly Frontend[];
  /** Where an external load balancer asks whether this node has endpoints (HC-001). */
  readonly healthCheck: HealthCheck | undefined;
  /** What the Service asks for and does not get, for its user; default nothing. */
  readonly remark?: Remark | undefined;
}

export interface HealthCheck {
  readonly port: Port;
  /** Distinct ready addresses on this node, of the Service's first family (HC-005). */
  readonly localEndpoints: number;
}

/**
 * Works out a Service's frontends and backends on `node`. `slices` are the Service's own, of any family.
 * The answer is the same whatever their order.
 */
export function servicePart(
  service: Service,
  slices: readonly EndpointSlice[],
  node: ProxyNode,
): ServicePart {
  const view = serviceView(service);
  if (view === undefined) {
    return { service: keyOf(service), frontends: [], healthCheck: undefined };
  }
  return partOfView(view, node, (port, family) =>
    portBackends(endpointsOfPort(slices, port, family, node.name), node),
  );
}

/** The same from who takes traffic at each port. @see ServiceParts */
export function partOfView(
  whole: ServiceView,
  node: ProxyNode,
  backendsOf: (port: ServicePortView, family: IpFamily) => PortBackends,
): ServicePart {
  const view = node.ignoresExternalIPs === true ? { ...whole, externalIPs: [] } : whole;
  const localReady = new Set<string>();
  const [firstIP] = view.clusterIPs;
  const firstFamily = firstIP === undefined ? undefined : ipFamilyOf(firstIP);
  const claims: Frontend[] = [];
  for (const family of IP_FAMILIES) {
    // A family is the Service's only with a cluster IP: other addresses of it are ignored (EXT-003).
    if (ofFamily(view.clusterIPs, family).length === 0) continue;
    const addresses = addressesOf(view, node, family);
    for (const port of view.ports) {
      const backends = backendsOf(port, family);
      if (family === firstFamily && view.healthCheckNodePort !== undefined) {
        for (const address of backends.localReady()) localReady.add(address);
      }
      claims.push(...frontendsOf(view, port, addresses, backendSet(view, port, backends), node));
    }
  }
  return {
    service: view.key,
    frontends: withoutDoubles(claims),
    healthCheck:
      view.healthCheckNodePort === undefined
        ? undefined
        : { port: view.healthCheckNodePort, localEndpoints: localReady.size },
    remark: view.remark,
  };
}

interface AddressGroup {
  readonly kind: FrontendKind;
  readonly addresses: readonly IpAddress[];
}

function addressesOf(
  view: ServiceView,
  node: ProxyNode,
  family: IpFamily,
): readonly AddressGroup[] {
  return [
    { kind: "clusterIP", addresses: ofFamily(view.clusterIPs, family) },
    { kind: "nodePort", addresses: ofFamily(node.nodePortAddresses, family) },
    { kind: "loadBalancer", addresses: ofFamily(view.loadBalancerIPs, family) },
    { kind: "externalIP", addresses: ofFamily(view.externalIPs, family) },
  ];
}

function frontendsOf(
  view: ServiceView,
  port: ServicePortView,
  groups: readonly AddressGroup[],
  target: BackendSet,
  node: ProxyNode,
): readonly Frontend[] {
  return groups.flatMap(({ kind, addresses }) => {
    const number = kind === "nodePort" ? port.nodePort : port.port;
    if (number === undefined) return [];
    return addresses.map((address) => ({
      protocol: port.protocol,
      address,
      port: number,
      kind,
      // ITP-005: the internal policy is the cluster IP's; NP-007: Pods and the node reach the rest as Cluster.
      internalPolicy: kind === "clusterIP" ? view.internalPolicy : "Cluster",
      externalPolicy: kind === "clusterIP" ? view.internalPolicy : view.externalPolicy,
      sourceRanges: kind === "loadBalancer" ? allowedSources(view, address, node) : undefined,
      target,
      since: view.since,
    }));
  });
}

/** LBIP-005..007: sources let in at a load-balancer address; undefined when all are. */
function allowedSources(
  view: ServiceView,
  address: IpAddress,
  node: ProxyNode,
): readonly Cidr[] | undefined {
  const ranges = new Set(rangesOfFamily(view.sourceRanges, ipFamilyOf(address)));
  if (ranges.size === 0) return undefined;
  const coversNode = [...ranges].some((range) =>
    node.nodePortAddresses.some((nodeAddress) => cidrContains(range, nodeAddress)),
  );
  // A node that is let in may show up with the address itself as its source, when it owns that address.
  const self = parseCidr(`${address}/${ipFamilyOf(address) === "IPv4" ? "32" : "128"}`);
  if (coversNode && self !== undefined) ranges.add(self);
  return [...ranges].sort(compareText);
}

function backendSet(view: ServiceView, port: ServicePortView, backends: PortBackends): BackendSet {
  const isExternal =
    port.nodePort !== undefined || view.externalIPs.length > 0 || view.loadBalancerIPs.length > 0;
  const usesCluster = view.internalPolicy === "Cluster" || isExternal;
  const usesLocal =
    view.internalPolicy === "Local" || (view.externalPolicy === "Local" && isExternal);
  return {
    service: view.key,
    portName: port.name,
    protocol: port.protocol,
    affinitySeconds: view.affinitySeconds,
    balance: view.balance,
    cluster: usesCluster ? backends.cluster() : [],
    local: usesLocal ? backends.local() : [],
    hasEndpoints: backends.hasUsable,
  };
}

/** An address may be, say, external and load-balancer address at once: the first kind in precedence stays. */
function withoutDoubles(claims: readonly Frontend[]): readonly Frontend[] {
  const sorted = [...claims].sort((a, b) => compareFrontends(a, b) || compareClaims(a, b));
  return sorted.filter((claim, i) => {
    const before = sorted[i - 1];
    return before === undefined || compareFrontends(before, claim) !== 0;
  });
}
