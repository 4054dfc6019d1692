import { objectKey } from "../../api/machinery/object-key.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { DnsIndex } from "./dns-index.ts";
import type { DomainName } from "./domain-name.ts";
import type { EndpointSet, Member, NamedEndpoint } from "./endpoint-set.ts";
import { byFamily } from "./views.ts";
import type { Addresses, PortView, ServiceView } from "./views.ts";

/**
 * What stands at a name of the cluster's zone. It is decided once a name, before anyone looks at the type
 * asked for, so that A and AAAA can never disagree on whether the name exists (DNS-019).
 */
export type NameContent =
  /** NXDOMAIN. */
  | { readonly kind: "missing"; readonly reason: string }
  /** The name exists, if only because others are below it (RFC 8020), but has no records. */
  | { readonly kind: "empty"; readonly reason: string }
  | { readonly kind: "apex" }
  | { readonly kind: "version" }
  | { readonly kind: "alias"; readonly target: DomainName }
  | {
      readonly kind: "hosts";
      /** Made on demand, as `ports` is: both are long for a large headless Service. */
      readonly addresses: () => Addresses;
      /** What an SRV question is answered with: see {@link Window}. */
      readonly ports: (window: Window) => PortTargets;
    };

/** Of many things, those from the one whose turn it is, round to it again, and no more than are of use. */
export interface Window {
  /** Any whole number from 0. */
  readonly rotation: number;
  readonly max: number;
}

export interface PortTargets {
  readonly targets: readonly PortTarget[];
  /** How many there are in all, of which no more than a hundred are counted. */
  readonly total: number;
}

/** One SRV record. */
export interface PortTarget {
  readonly port: number;
  /** Its {@link Member.name}; undefined for the Service itself. */
  readonly endpoint: string | undefined;
  readonly addresses: Addresses;
}

export interface NameRules {
  /**
   * `insecure` answers any address written in the name, if its namespace exists; `verified` only that of a
   * Pod which is there (DNS-027).
   */
  readonly podRecords: "disabled" | "insecure" | "verified";
  /** Whether the names are those of a set of clusters (KEP-1645), not of this cluster alone. */
  readonly isClusterset?: boolean | undefined;
  /** Whether a Service with a cluster IP and no ready endpoint does not exist (CoreDNS `ignore empty_service`). */
  readonly ignoresEmptyServices: boolean;
  /** What `ns.dns.<zone>` has: where this server can be asked. */
  readonly serverAddresses: readonly IpAddress[];
}

/**
 * Finds what is at `<labels>.<zone>`; the labels must be folded. The grammar is that of the Kubernetes DNS
 * specification 1.1.0, and CoreDNS's where that says nothing (conformance DNS-001..027).
 */
export function lookupClusterName(
  labels: DomainName,
  index: DnsIndex,
  rules: NameRules,
): NameContent {
  const [top, second, third, ...below] = labels.toReversed();
  switch (top) {
    case undefined:
      return { kind: "apex" };
    case "dns-version":
      return second === undefined ? { kind: "version" } : missing("nothing is below dns-version");
    case "dns":
      return lookupServerName(second, third, rules);
    case "svc":
    case "pod": {
      // The specification of a clusterset's names has none for Pods.
      if (top === "pod" && rules.isClusterset === true) {
        return missing("a clusterset has no names of Pods");
      }
      if (second === undefined) return empty(`namespaces are below ${top}`);
      // A Service may be known before its namespace, whose watch is another one: it counts by itself.
      if (top === "svc" && third !== undefined) {
        return lookupService(second, third, below, index, rules);
      }
      if (!index.hasNamespace(second)) return missing(`there is no namespace ${second}`);
      if (third === undefined) return empty(`namespace ${second} exists`);
      return lookupPod(second, third, below, index, rules);
    }
    default:
      return missing(`the cluster domain has no part named ${top}`);
  }
}

function lookupServerName(
  second: string | undefined,
  third: string | undefined,
  rules: NameRules,
): NameContent {
  if (second === undefined) return empty("the name server is below dns");
  if (second !== "ns" || third !== undefined) return missing("only ns is below dns");
  return { kind: "hosts", addresses: () => byFamily(rules.serverAddresses), ports: noPorts };
}

function lookupPod(
  namespace: string,
  label: string,
  below: DomainName,
  index: DnsIndex,
  rules: NameRules,
): NameContent {
  if (rules.podRecords === "disabled") return missing("names of Pods are not served");
  if (below.length > 0) return missing("nothing is below the name of a Pod");
  const isIpv4 = /^\d+-\d+-\d+-\d+$/.test(label);
  const address = parseIpAddress(label.replaceAll("-", isIpv4 ? "." : ":"));
  if (address === undefined) return missing(`${label} is no address written with dashes`);
  if (rules.podRecords === "verified" && !index.hasPod(namespace, address)) {
    return missing(`no Pod of namespace ${namespace} has the address ${address}`);
  }
  return { kind: "hosts", addresses: () => byFamily([address]), ports: noPorts };
}

/** `below` holds what is left of the Service's label, from right to left. */
function lookupService(
  namespace: string,
  name: string,
  below: DomainName,
  index: DnsIndex,
  rules: NameRules,
): NameContent {
  const key = objectKey({ namespace, name });
  const service = index.service(key);
  if (service === undefined) return missing(`there is no Service ${key}`);
  if (service.kind === "externalName") {
    if (below.length > 0) return missing(`Service ${key} is an ExternalName: nothing is below it`);
    if (service.target === undefined) return missing(`Service ${key} has no name to point to`);
    return { kind: "alias", target: service.target };
  }
  const endpoints = index.endpoints(key);
  if (endpoints.size === 0 && (service.kind === "headless" || rules.ignoresEmptyServices)) {
    return missing(`Service ${key} has no ready endpoint`);
  }
  const [first, second, ...more] = below;
  if (first === undefined) return serviceItself(service, endpoints);
  const endpoint = endpointBelow(service, endpoints, below, rules);
  if (endpoint !== undefined) return endpoint;
  if (second === undefined) return protocolOnly(service, endpoints, first);
  if (more.length > 0) return missing("the name has too many labels");
  return namedPort(service, endpoints, first, second);
}

function endpointBelow(
  service: ServiceView,
  endpoints: EndpointSet,
  below: DomainName,
  { isClusterset = false }: NameRules,
): NameContent | undefined {
  // Which cluster's Pods take a connection to a clusterset's IP is nobody's to choose (KEP-1645).
  if (isClusterset && service.kind !== "headless") return undefined;
  const name = below.toReversed().join(".");
  const endpoint = endpoints.named(name);
  if (endpoint !== undefined) {
    return {
      kind: "hosts",
      addresses: () => addressesOf(endpoint.members),
      ports: () => {
        const targets = targetsAt(endpoint, () => true);
        return { targets, total: targets.length };
      },
    };
  }
  const isCluster = isClusterset && endpoints.labels.some((each) => each.name.endsWith(`.${name}`));
  return isCluster ? empty(`Service ${service.key} has endpoints in cluster ${name}`) : undefined;
}

function serviceItself(service: ServiceView, endpoints: EndpointSet): NameContent {
  const isHeadless = service.kind === "headless";
  return {
    kind: "hosts",
    addresses: () => (isHeadless ? endpoints.addresses : service.clusterIps),
    // CoreDNS lists every port here, named or not (DNS-025); peer finders rely on it.
    ports: (window) => portTargets(service, endpoints, window, () => true),
  };
}

function protocolOnly(service: ServiceView, endpoints: EndpointSet, label: string): NameContent {
  const protocol = withoutUnderscore(label);
  return hasPort(service, endpoints, (port) => isNamed(port, protocol))
    ? empty(`Service ${service.key} has named ${protocol} ports`)
    : missing(`Service ${service.key} has no ready endpoint named ${label}`);
}

function namedPort(
  service: ServiceView,
  endpoints: EndpointSet,
  protocolLabel: string,
  portLabel: string,
): NameContent {
  const protocol = withoutUnderscore(protocolLabel);
  const name = withoutUnderscore(portLabel);
  const isWanted = (port: PortView): boolean =>
    isNamed(port, protocol) && port.name.toLowerCase() === name;
  if (!hasPort(service, endpoints, isWanted)) {
    return missing(`Service ${service.key} has no ${protocol} port named ${name}`);
  }
  return {
    kind: "hosts",
    // Like CoreDNS, the name of a port has the addresses as well.
    addresses: () =>
      service.kind === "headless"
        ? addressesOf(
            endpoints.labels
              .flatMap(({ members }) => members)
              .filter(({ ports }) => ports.some(isWanted)),
          )
        : service.clusterIps,
    ports: (window) => portTargets(service, endpoints, window, isWanted),
  };
}

function addressesOf(members: readonly Member[]): Addresses {
  return byFamily([...new Set(members.map(({ address }) => address))]);
}

function hasPort(
  service: ServiceView,
  endpoints: EndpointSet,
  isWanted: (port: PortView) => boolean,
): boolean {
  if (service.kind !== "headless") return service.ports.some(isWanted);
  for (const ports of endpoints.portLists()) if (ports.some(isWanted)) return true;
  return false;
}

function portTargets(
  service: ServiceView,
  endpoints: EndpointSet,
  window: Window,
  isWanted: (port: PortView) => boolean,
): PortTargets {
  if (service.kind !== "headless") {
    const { clusterIps: addresses } = service;
    const ports = [...new Set(service.ports.filter(isWanted).map(({ port }) => port))];
    const targets = ports.map((port) => ({ port, endpoint: undefined, addresses }));
    return { targets: windowOf(targets, window), total: targets.length };
  }
  const targets: PortTarget[] = [];
  const { labels } = endpoints;
  let total = 0;
  for (let i = 0; i < labels.length && total < Math.max(window.max, MAX_COUNTED); i++) {
    const label = labels[(window.rotation + i) % labels.length];
    if (label === undefined) continue;
    if (targets.length < window.max) {
      targets.push(...targetsAt(label, isWanted));
      total = targets.length;
    } else total += countAt(label, isWanted);
  }
  return { targets, total };
}

/** More targets than these share their weight of 100 as these do. */
const MAX_COUNTED = 100;

function countAt(label: NamedEndpoint, isWanted: (port: PortView) => boolean): number {
  const [only] = label.members;
  // Nearly always, and without making anything.
  if (label.members.length === 1 && only?.ports.length === 1)
    return only.ports.some(isWanted) ? 1 : 0;
  return targetsAt(label, isWanted).length;
}

function targetsAt(
  { name, members }: NamedEndpoint,
  isWanted: (port: PortView) => boolean,
): readonly PortTarget[] {
  const [only] = members;
  // Nearly always, and there may be thousands.
  if (members.length === 1 && only !== undefined && only.ports.length === 1) {
    const [port] = only.ports;
    if (port === undefined || !isWanted(port)) return [];
    return [{ port: port.port, endpoint: name, addresses: byFamily([only.address]) }];
  }
  const ports = new Set<number>();
  for (const member of members) {
    for (const port of member.ports) if (isWanted(port)) ports.add(port.port);
  }
  if (ports.size === 0) return [];
  const addresses = addressesOf(members);
  return [...ports].map((port) => ({ port, endpoint: name, addresses }));
}

/** What of a list is in the window. */
export function windowOf<T>(items: readonly T[], { rotation, max }: Window): readonly T[] {
  if (items.length < 2) return items;
  const first = rotation % items.length;
  const end = first + max;
  return [
    ...items.slice(first, end),
    ...items.slice(0, Math.max(0, Math.min(first, end - items.length))),
  ];
}

const noPorts = (): PortTargets => ({ targets: [], total: 0 });

function isNamed(port: PortView, protocol: string): boolean {
  return port.name !== "" && port.protocol === protocol;
}

/** CoreDNS takes `http.tcp` for `_http._tcp`. */
function withoutUnderscore(label: string): string {
  return label.startsWith("_") ? label.slice(1) : label;
}

function missing(reason: string): NameContent {
  return { kind: "missing", reason };
}

function empty(reason: string): NameContent {
  return { kind: "empty", reason };
}
