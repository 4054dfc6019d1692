import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { PROTOCOLS } from "../../api/v1/service.ts";
import type { Protocol } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import { parsePort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import { compareText } from "./frontend.ts";
import type { Backend } from "./frontend.ts";
import { comparePlaces } from "./place.ts";

/** An endpoint of one Service port, as the proxy reads it (PROXY-006..010). */
export interface EndpointView {
  readonly address: IpAddress;
  readonly port: Port;
  readonly isReady: boolean;
  readonly isServing: boolean;
  readonly isTerminating: boolean;
  readonly isLocal: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** The same as a backend: one object, so that lists of thousands are compared by identity. */
  readonly backend: Backend;
}

const SERVICE_NAME = "kubernetes.io/service-name";

/** Labels that take a Service or slice away from this proxy (PROXY-002..004); any value counts. */
export const UNPROXIED_LABELS = [
  "service.kubernetes.io/service-proxy-name",
  "service.kubernetes.io/headless",
] as const;

/**
 * The Service that a slice belongs to as far as this proxy goes.
 * @returns undefined for slices that the proxy ignores (PROXY-004, PROXY-005).
 */
export function proxiedServiceOf(
  slice: EndpointSlice,
): { readonly namespace: string; readonly name: string } | undefined {
  const labels = slice.metadata.labels ?? {};
  const name = labels[SERVICE_NAME] ?? "";
  if (name === "" || UNPROXIED_LABELS.some((label) => label in labels)) return undefined;
  if (slice.addressType !== "IPv4" && slice.addressType !== "IPv6") return undefined;
  return { namespace: slice.metadata.namespace ?? "", name };
}

/**
 * The endpoints of a Service's port in one family, each IP:port once, sorted. Of several copies the one that
 * is ready, then usable while it ends, then local is kept, whatever order the slices came in (PROXY-009).
 */
export function endpointsOfPort(
  slices: readonly EndpointSlice[],
  port: { readonly name: string; readonly protocol: Protocol },
  family: IpFamily,
  nodeName: string,
): readonly EndpointView[] {
  const all: EndpointView[] = [];
  for (const slice of slices) {
    if (slice.addressType !== family || proxiedServiceOf(slice) === undefined) continue;
    all.push(...viewsOf(slice, port, family, nodeName));
  }
  // Each slice's views are sorted already, which sorting makes use of.
  all.sort((a, b) => comparePlaces(a, b) || comparePreference(a, b));
  return all.filter((view, i) => {
    const before = all[i - 1];
    return before === undefined || comparePlaces(before, view) !== 0;
  });
}

/** The endpoints of a slice of that family for a Service's port, sorted by address and port; with doubles. */
export function viewsOf(
  slice: EndpointSlice,
  port: { readonly name: string; readonly protocol: Protocol },
  family: IpFamily,
  nodeName: string,
): readonly EndpointView[] {
  const views: EndpointView[] = [];
  for (const slicePort of slice.ports ?? []) {
    const number = portOf(slicePort, port);
    if (number === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const view = endpointView(endpoint, number, family, nodeName);
      if (view !== undefined) views.push(view);
    }
  }
  return views.sort(comparePlaces);
}

type SlicePort = NonNullable<EndpointSlice["ports"]>[number];
type SliceEndpoint = NonNullable<EndpointSlice["endpoints"]>[number];

// PROXY-006: by name and protocol; a port without name or number is nobody's.
function portOf(
  slicePort: SlicePort,
  wanted: { readonly name: string; readonly protocol: Protocol },
): Port | undefined {
  if (slicePort.name !== wanted.name) return undefined;
  if (slicePort.port === undefined || slicePort.port === 0) return undefined;
  if (parseProtocol(slicePort.protocol) !== wanted.protocol) return undefined;
  return parsePort(slicePort.port);
}

function endpointView(
  endpoint: SliceEndpoint,
  port: Port,
  family: IpFamily,
  nodeName: string,
): EndpointView | undefined {
  const address = parseIpAddress(endpoint.addresses[0] ?? "");
  if (address === undefined || ipFamilyOf(address) !== family) return undefined;
  const hints = endpoint.hints;
  const isLocal = endpoint.nodeName !== undefined && endpoint.nodeName === nodeName;
  return {
    backend: { address, port, isLocal },
    address,
    port,
    isReady: endpoint.conditions?.ready ?? true,
    isServing: endpoint.conditions?.serving ?? true,
    isTerminating: endpoint.conditions?.terminating ?? false,
    isLocal,
    zoneHints: (hints?.forZones ?? []).map((zone) => zone.name),
    nodeHints: (hints?.forNodes ?? []).map((node) => node.name),
  };
}

export function parseProtocol(text: string | undefined): Protocol | undefined {
  return PROTOCOLS.find((protocol) => protocol === (text ?? "TCP"));
}

/** Which of several copies of an endpoint is kept: the first (PROXY-009). */
export function comparePreference(a: EndpointView, b: EndpointView): number {
  return (
    Number(b.isReady) - Number(a.isReady) ||
    Number(isUsableWhileEnding(b)) - Number(isUsableWhileEnding(a)) ||
    Number(b.isLocal) - Number(a.isLocal) ||
    // The rest only makes the choice the same for every order of slices.
    Number(b.isServing) - Number(a.isServing) ||
    Number(a.isTerminating) - Number(b.isTerminating) ||
    compareText(a.nodeHints.join(), b.nodeHints.join()) ||
    compareText(a.zoneHints.join(), b.zoneHints.join())
  );
}

/** Whether two views of one address and port say the same. */
export function sameView(a: EndpointView, b: EndpointView): boolean {
  return (
    a.isReady === b.isReady &&
    a.isServing === b.isServing &&
    a.isTerminating === b.isTerminating &&
    a.isLocal === b.isLocal &&
    sameTexts(a.zoneHints, b.zoneHints) &&
    sameTexts(a.nodeHints, b.nodeHints)
  );
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

export function isUsableWhileEnding(endpoint: EndpointView): boolean {
  return endpoint.isServing && endpoint.isTerminating;
}
