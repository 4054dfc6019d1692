import { keyOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Protocol, Service, ServicePort, TrafficPolicy } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import { cidrFamily, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { parsePort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import { parseProtocol, UNPROXIED_LABELS } from "./endpoint-view.ts";
import { BALANCES } from "./frontend.ts";
import type { Balance } from "./frontend.ts";

/** A Service as the proxy reads it: parsed once, with what does not concern it left out. */
export interface ServiceView {
  readonly key: ObjectKey;
  readonly since: string;
  readonly clusterIPs: readonly IpAddress[];
  readonly externalIPs: readonly IpAddress[];
  /** Only addresses whose packets the node answers itself: ipMode VIP (LBIP-001..003). */
  readonly loadBalancerIPs: readonly IpAddress[];
  readonly sourceRanges: readonly Cidr[];
  readonly ports: readonly ServicePortView[];
  readonly internalPolicy: TrafficPolicy;
  readonly externalPolicy: TrafficPolicy;
  readonly affinitySeconds: number | undefined;
  readonly healthCheckNodePort: Port | undefined;
  readonly balance: Balance;
  /** What the Service asks for and does not get. */
  readonly remark: Remark | undefined;
}

/** For an Event on the Service. */
export interface Remark {
  readonly reason: "UnknownBalance" | "BalanceIgnored";
  readonly message: string;
}

/** Annotation of a Service that says how its connections are spread: one of {@link BALANCES}. */
const BALANCE_ANNOTATION = "portolan.dev/balance";

export interface ServicePortView {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: Port;
  readonly nodePort: Port | undefined;
}

/** ClientIP affinity without a configured time-out lasts three hours, as the API server's default says. */
const DEFAULT_AFFINITY_SECONDS = 10_800;

/** Why this proxy has nothing to do with a Service; undefined when it has (PROXY-001..003). */
function whyUnproxied(service: Service): string | undefined {
  const label = UNPROXIED_LABELS.find((name) => name in (service.metadata.labels ?? {}));
  if (label !== undefined) return `label ${label} leaves it to another proxy`;
  if (service.spec.type === "ExternalName") return "type ExternalName is answered by DNS alone";
  const clusterIP = service.spec.clusterIP ?? "";
  if (clusterIP === "None") return "a headless Service has no address of its own";
  if (clusterIP === "") return "it has no cluster IP yet";
  return undefined;
}

/** @returns undefined for a Service that this proxy ignores. */
export function serviceView(service: Service): ServiceView | undefined {
  if (whyUnproxied(service) !== undefined) return undefined;
  const { spec } = service;
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const isExternallyReachable = spec.type === "NodePort" || spec.type === "LoadBalancer";
  const externalIPs = addressesIn(spec.externalIPs ?? []);
  return {
    key: keyOf(service),
    since: service.metadata.creationTimestamp ?? "",
    clusterIPs: addressesIn(spec.clusterIPs ?? [spec.clusterIP ?? ""]),
    externalIPs,
    loadBalancerIPs:
      spec.type === "LoadBalancer"
        ? addressesIn(
            ingress.filter((each) => each.ipMode !== "Proxy").map((each) => each.ip ?? ""),
          )
        : [],
    sourceRanges: (spec.loadBalancerSourceRanges ?? []).flatMap(
      (text) => parseCidr(text.trim()) ?? [],
    ),
    ports: (spec.ports ?? []).flatMap(portView),
    internalPolicy: spec.internalTrafficPolicy === "Local" ? "Local" : "Cluster",
    externalPolicy:
      spec.externalTrafficPolicy === "Local" && (isExternallyReachable || externalIPs.length > 0)
        ? "Local"
        : "Cluster",
    affinitySeconds:
      spec.sessionAffinity === "ClientIP"
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS)
        : undefined,
    healthCheckNodePort:
      spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local"
        ? positivePort(spec.healthCheckNodePort)
        : undefined,
    ...balanceOf(service),
  };
}

/** An unknown value is as none. Affinity is the API's own word, so it goes before our annotation. */
function balanceOf(service: Service): Pick<ServiceView, "balance" | "remark"> {
  const value = service.metadata.annotations?.[BALANCE_ANNOTATION];
  const balance = BALANCES.find((known) => known === value);
  if (balance === undefined && value !== undefined) {
    const known = BALANCES.join(", ");
    const message = `annotation ${BALANCE_ANNOTATION} is "${value}", not one of ${known}: connections are spread at random`;
    return { balance: "random", remark: { reason: "UnknownBalance", message } };
  }
  if (balance === "source-hash" && service.spec.sessionAffinity === "ClientIP") {
    const message = `annotation ${BALANCE_ANNOTATION} has no effect beside sessionAffinity ClientIP: a client's first endpoint is chosen at random, then remembered`;
    return { balance: "random", remark: { reason: "BalanceIgnored", message } };
  }
  return { balance: balance ?? "random", remark: undefined };
}

/** The addresses of one family; those of the other are the other family's business (DUAL-018). */
export function ofFamily(addresses: readonly IpAddress[], family: IpFamily): readonly IpAddress[] {
  return addresses.filter((address) => ipFamilyOf(address) === family);
}

/** LBIP-006: only ranges of the address's family count. */
export function rangesOfFamily(ranges: readonly Cidr[], family: IpFamily): readonly Cidr[] {
  return ranges.filter((range) => cidrFamily(range) === family);
}

function portView(servicePort: ServicePort): readonly ServicePortView[] {
  const protocol = parseProtocol(servicePort.protocol);
  const port = positivePort(servicePort.port);
  if (protocol === undefined || port === undefined) return [];
  return [
    { name: servicePort.name ?? "", protocol, port, nodePort: positivePort(servicePort.nodePort) },
  ];
}

function positivePort(value: number | undefined): Port | undefined {
  return value === undefined || value === 0 ? undefined : parsePort(value);
}

function addressesIn(texts: readonly string[]): readonly IpAddress[] {
  return [...new Set(texts.flatMap((text) => parseIpAddress(text) ?? []))];
}
