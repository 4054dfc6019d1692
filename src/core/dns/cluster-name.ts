import { objectKey } from "../../api/machinery/object-key.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { DnsIndex } from "./dns-index.ts";
import type { DomainName } from "./domain-name.ts";
import { allOf, byFamily } from "./views.ts";
import type { Addresses, EndpointsView, PortView, ServiceView } from "./views.ts";

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
      /** What an SRV question is answered with. */
      readonly ports: () => readonly PortTarget[];
    };

/** One SRV record. */
export interface PortTarget {
  readonly port: number;
  /** Label below the Service's name; undefined for the Service itself. */
  readonly endpoint: string | undefined;
  readonly addresses: Addresses;
}

export interface NameRules {
  /** `insecure` answers any address written in the name, if its namespace exists (DNS-027). */
  readonly podRecords: "disabled" | "insecure";
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
      if (second === undefined) return empty(`namespaces are below ${top}`);
      // A Service may be known before its namespace, whose watch is another one: it counts by itself.
      if (top === "svc" && third !== undefined) return lookupService(second, third, below, index);
      if (!index.hasNamespace(second)) return missing(`there is no namespace ${second}`);
      if (third === undefined) return empty(`namespace ${second} exists`);
      return lookupPod(third, below, rules);
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
  return { kind: "hosts", addresses: () => byFamily(rules.serverAddresses), ports: () => [] };
}

function lookupPod(label: string, below: DomainName, rules: NameRules): NameContent {
  if (rules.podRecords === "disabled") return missing("names of Pods are not served");
  if (below.length > 0) return missing("nothing is below the name of a Pod");
  const isIpv4 = /^\d+-\d+-\d+-\d+$/.test(label);
  const address = parseIpAddress(label.replaceAll("-", isIpv4 ? "." : ":"));
  if (address === undefined) return missing(`${label} is no address written with dashes`);
  return { kind: "hosts", addresses: () => byFamily([address]), ports: () => [] };
}

/** `below` holds what is left of the Service's label, from right to left. */
function lookupService(
  namespace: string,
  name: string,
  below: DomainName,
  index: DnsIndex,
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
  if (service.kind === "headless" && endpoints.byName.size === 0) {
    return missing(`headless Service ${key} has no ready endpoint`);
  }
  const [first, second, ...more] = below;
  if (first === undefined) return serviceItself(service, endpoints);
  if (second === undefined) return endpointOrProtocol(service, endpoints, first);
  if (more.length > 0) return missing("the name has too many labels");
  return namedPort(service, endpoints, first, second);
}

function serviceItself(service: ServiceView, endpoints: EndpointsView): NameContent {
  const isHeadless = service.kind === "headless";
  return {
    kind: "hosts",
    addresses: () => (isHeadless ? endpoints.addresses : service.clusterIps),
    // CoreDNS lists every port here, named or not (DNS-025); peer finders rely on it.
    ports: () => portTargets(service, endpoints, () => true),
  };
}

function endpointOrProtocol(
  service: ServiceView,
  endpoints: EndpointsView,
  label: string,
): NameContent {
  const endpoint = endpoints.byName.get(label);
  if (endpoint !== undefined) {
    const { name, addresses } = endpoint;
    return {
      kind: "hosts",
      addresses: () => addresses,
      ports: () => endpoint.ports.map(({ port }) => ({ port, endpoint: name, addresses })),
    };
  }
  const protocol = withoutUnderscore(label);
  const hasPort = portTargets(service, endpoints, (port) => isNamed(port, protocol)).length > 0;
  return hasPort
    ? empty(`Service ${service.key} has named ${protocol} ports`)
    : missing(`Service ${service.key} has no ready endpoint named ${label}`);
}

function namedPort(
  service: ServiceView,
  endpoints: EndpointsView,
  protocolLabel: string,
  portLabel: string,
): NameContent {
  const protocol = withoutUnderscore(protocolLabel);
  const name = withoutUnderscore(portLabel);
  const targets = portTargets(
    service,
    endpoints,
    (port) => isNamed(port, protocol) && port.name.toLowerCase() === name,
  );
  if (targets.length === 0) {
    return missing(`Service ${service.key} has no ${protocol} port named ${name}`);
  }
  // Like CoreDNS, the name of a port has the addresses as well.
  const addresses = (): Addresses =>
    byFamily([...new Set(targets.flatMap((target) => allOf(target.addresses)))]);
  return { kind: "hosts", addresses, ports: () => targets };
}

function portTargets(
  service: ServiceView,
  endpoints: EndpointsView,
  isWanted: (port: PortView) => boolean,
): readonly PortTarget[] {
  if (service.kind !== "headless") {
    const { clusterIps: addresses } = service;
    const ports = new Set(service.ports.filter(isWanted).map(({ port }) => port));
    return [...ports].map((port) => ({ port, endpoint: undefined, addresses }));
  }
  // All endpoints of a slice share one list of ports, which is looked through once.
  const wantedOf = new Map<readonly PortView[], readonly number[]>();
  const targets: PortTarget[] = [];
  for (const { name, addresses, ports } of endpoints.byName.values()) {
    let wanted = wantedOf.get(ports);
    if (wanted === undefined) {
      wanted = [...new Set(ports.filter(isWanted).map(({ port }) => port))];
      wantedOf.set(ports, wanted);
    }
    for (const port of wanted) targets.push({ port, endpoint: name, addresses });
  }
  return targets;
}

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
