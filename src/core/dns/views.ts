import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { objectKey } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import { parseDomainName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";

/** Addresses by family: one question is for one of them only. */
export type Addresses = Readonly<Record<IpFamily, readonly IpAddress[]>>;

/** What DNS needs to know of a Service: read once when it changes, not at each question. */
export interface ServiceView {
  readonly key: ObjectKey;
  readonly kind: "clusterIP" | "headless" | "externalName";
  /** Empty unless `kind` is clusterIP, and as long as no address is allocated. */
  readonly clusterIps: Addresses;
  readonly ports: readonly PortView[];
  /** Set when `kind` is externalName and the value is a name; an IP literal is not one. */
  readonly target: DomainName | undefined;
}

export interface PortView {
  /** "" for a port without a name, which has no name in DNS either (DNS-002). */
  readonly name: string;
  /** In small letters, as in `_tcp`. */
  readonly protocol: string;
  readonly port: number;
}

/** What DNS needs to know of an EndpointSlice: its ready endpoints only (DNS-004, DNS-032). */
export interface SliceView {
  readonly service: ObjectKey;
  readonly ports: readonly PortView[];
  readonly endpoints: readonly EndpointView[];
}

/** One address of a ready endpoint. */
export interface EndpointView {
  /** Its label below the Service's name: the hostname, else made from the address (DNS-007, DNS-008). */
  readonly name: string;
  readonly address: IpAddress;
}

/** What DNS needs to know of a Pod when Pods' names are verified (DNS-027). */
export interface PodView {
  readonly namespace: string;
  readonly addresses: readonly IpAddress[];
}

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

export function serviceView(service: Service): ServiceView {
  const { spec } = service;
  const key = objectKey(service.metadata);
  const ports = (spec.ports ?? []).map(portView);
  if (spec.type === "ExternalName") {
    const target = targetOf(spec.externalName ?? "");
    return { key, kind: "externalName", clusterIps: byFamily([]), ports: [], target };
  }
  if (spec.clusterIP === "None") {
    return { key, kind: "headless", clusterIps: byFamily([]), ports, target: undefined };
  }
  const texts = spec.clusterIPs ?? [spec.clusterIP ?? ""];
  const clusterIps = byFamily(addressesOf(texts));
  return { key, kind: "clusterIP", clusterIps, ports, target: undefined };
}

/** Whether both give the same answers. */
export function isSameService(a: ServiceView, b: ServiceView): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** @returns undefined for a Pod that has ended or is ending, or has no address. */
export function podView(pod: Pick<Pod, "metadata" | "status">): PodView | undefined {
  const { metadata, status } = pod;
  const phase = status?.phase;
  const hasEnded = phase === "Succeeded" || phase === "Failed" || phase === "Unknown";
  if (hasEnded || metadata.deletionTimestamp !== undefined) return undefined;
  const ips = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)];
  const addresses = [...new Set(addressesOf(ips.filter((ip) => ip !== undefined)))];
  return addresses.length === 0 ? undefined : { namespace: metadata.namespace ?? "", addresses };
}

/**
 * @param usesPodNames whether an endpoint without hostname is named for its Pod instead of its address
 * (CoreDNS `endpoint_pod_names`).
 * @param known endpoints of the same slice as it was: those that are still there are handed out again. A slice has up
 * to a thousand, of which mostly one changes at a time.
 * @returns undefined for a slice that belongs to no Service.
 */
export function sliceView(
  slice: EndpointSlice,
  usesPodNames = false,
  known: readonly EndpointView[] = [],
): SliceView | undefined {
  const name = slice.metadata.labels?.["kubernetes.io/service-name"];
  if (name === undefined || name === "") return undefined;
  // As long as it will be, or nearly: growing it would copy it some times.
  const endpoints = known.slice();
  let count = 0;
  let next = 0;
  for (const endpoint of slice.endpoints ?? []) {
    if (endpoint.conditions?.ready === false) continue;
    for (const text of endpoint.addresses) {
      const at = placeOf(known, next, text);
      const before = known[at];
      if (before !== undefined) next = at + 1;
      const address = before === undefined ? parseIpAddress(text) : before.address;
      if (address === undefined) continue;
      const isSame = before !== undefined && isNamed(before, endpoint, usesPodNames);
      endpoints[count++] = isSame
        ? before
        : { name: labelOf(endpoint, address, usesPodNames), address };
    }
  }
  endpoints.length = count;
  return {
    service: objectKey({ namespace: slice.metadata.namespace, name }),
    ports: (slice.ports ?? []).map(portView),
    endpoints,
  };
}

export function byFamily(addresses: readonly IpAddress[]): Addresses {
  const [first] = addresses;
  if (addresses.length === 1 && first !== undefined) {
    return ipFamilyOf(first) === "IPv4"
      ? { IPv4: addresses, IPv6: [] }
      : { IPv4: [], IPv6: addresses };
  }
  return {
    IPv4: addresses.filter((address) => ipFamilyOf(address) === "IPv4"),
    IPv6: addresses.filter((address) => ipFamilyOf(address) === "IPv6"),
  };
}

export function allOf({ IPv4, IPv6 }: Addresses): readonly IpAddress[] {
  return IPv6.length === 0 ? IPv4 : [...IPv4, ...IPv6];
}

function portView(port: {
  readonly name?: string | undefined;
  readonly protocol?: string | undefined;
  readonly port?: number | undefined;
}): PortView {
  return {
    name: port.name ?? "",
    protocol: (port.protocol ?? "TCP").toLowerCase(),
    port: port.port ?? 0,
  };
}

function targetOf(externalName: string): DomainName | undefined {
  if (parseIpAddress(externalName) !== undefined) return undefined;
  const target = parseDomainName(externalName);
  return target === undefined || target.length === 0 ? undefined : target;
}

function labelOf(endpoint: Endpoint, address: IpAddress, usesPodNames: boolean): string {
  return givenLabel(endpoint, usesPodNames) ?? dashed(address);
}

/** @returns undefined when the label is made of the address. */
function givenLabel({ hostname, targetRef }: Endpoint, usesPodNames: boolean): string | undefined {
  if (hostname !== undefined && hostname !== "") return hostname.toLowerCase();
  const pod = usesPodNames ? (targetRef?.name ?? "") : "";
  // A Pod's name may be longer than a label, and have dots in it.
  return pod !== "" && pod.length <= 63 && !pod.includes(".") ? pod : undefined;
}

/** So many endpoints side by side may be gone for those behind them to be found again. */
const MAX_GONE = 8;

/** Where the address stands in a list, looked for from `start` on; -1 when it is not there. */
function placeOf(known: readonly EndpointView[], start: number, text: string): number {
  const end = Math.min(known.length, start + MAX_GONE + 1);
  for (let at = start; at < end; at++) if (known[at]?.address === text) return at;
  return -1;
}

/** Whether {@link labelOf} would give the name that the endpoint has, without making it. */
function isNamed(
  { name, address }: EndpointView,
  endpoint: Endpoint,
  usesPodNames: boolean,
): boolean {
  // Mostly there is nothing to be made small.
  if (name === endpoint.hostname) return true;
  const given = givenLabel(endpoint, usesPodNames);
  if (given !== undefined) return name === given;
  if (ipFamilyOf(address) === "IPv6") return name === dashed(address);
  for (let i = 0; i < address.length; i++) {
    const character = address.charCodeAt(i);
    if (name.charCodeAt(i) !== (character === DOT ? DASH : character)) return false;
  }
  return name.length === address.length;
}

const DOT = 0x2e;
const DASH = 0x2d;

/** A label may not end in a dash, as `fd00::` would: it gets the zero that it stands for (DNS-008). */
function dashed(address: IpAddress): string {
  const label = address.replaceAll(/[.:]/g, "-");
  return ipFamilyOf(address) === "IPv6" && label.endsWith("-") ? `${label}0` : label;
}

function addressesOf(texts: readonly string[]): readonly IpAddress[] {
  return texts.flatMap((text) => parseIpAddress(text) ?? []);
}
