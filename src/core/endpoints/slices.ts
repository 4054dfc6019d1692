import type { EndpointPort, Endpoint, EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpFamily } from "../../net/address.ts";
import { packEndpoints } from "./packing.ts";
import { isSameMap, isTerminal } from "./pod-address.ts";
import { podEndpointOf } from "./pod-endpoint.ts";
import { portsKey, slicePortsOf } from "./pod-ports.ts";
import type { ResolvedPort } from "./pod-ports.ts";
import { endpointKey, ZONE_LABEL } from "./slice-endpoint.ts";
import { planTopology, wantsTopology } from "./topology.ts";
import type { TopologyOutcome } from "./topology.ts";
import { distributionHints } from "./traffic-distribution.ts";
import type { ZoneCapacity } from "./zone-capacity.ts";
import {
  isManagedSlice,
  isOwnedBy,
  sliceLabelsOf,
  sliceOwnerOf,
  TRIGGER_TIME_ANNOTATION,
} from "./slice-metadata.ts";

/** EPS-040. */
const DEFAULT_MAX_ENDPOINTS_PER_SLICE = 100;

export interface SlicesObserved {
  /** One with a selector that is not of type ExternalName (EPS-007). */
  readonly service: Service;
  /** Pods of the Service's namespace that its selector takes. */
  readonly pods: readonly Pod[];
  /** The Node of a name, or undefined. */
  readonly nodeOf: (name: string) => Node | undefined;
  /** Slices labelled with the Service's name; those of other managers are ignored (EPS-014). */
  readonly slices: readonly EndpointSlice[];
  readonly maxEndpointsPerSlice?: number | undefined;
  /** {@link podEndpointOf}, or what remembers its results. */
  readonly endpointOf?: typeof podEndpointOf | undefined;
  /** Asked only for a Service with `topology-mode: Auto`; absent: unknown. */
  readonly zoneCapacity?: (() => ZoneCapacity) | undefined;
  /** See {@link planTriggerTime}; undefined removes the annotation from slices that are written (EPS-050). */
  readonly triggerTime?: string | undefined;
}

export interface SlicePlan {
  readonly create: readonly NewSlice[];
  /** Whole objects with the resourceVersion that was read. */
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
  /** Names of Nodes that Pods are said to be on but that do not exist: look again later (EPS-028). */
  readonly missingNodes: readonly string[];
  /** What became of `topology-mode: Auto`, for each family; see {@link topologyNews}. */
  readonly topology: ReadonlyMap<IpFamily, TopologyOutcome>;
}

interface PortGroup {
  readonly ports: readonly ResolvedPort[];
  readonly wanted: Map<string, Endpoint>;
}

/**
 * What to write so that the Service's slices say where its Pods are (EPS-001..049). One Pod more, less or
 * changed writes one slice, however many there are; a plan made of its own outcome is empty.
 */
export function planSlices(observed: SlicesObserved): SlicePlan {
  const { service } = observed;
  const families = familiesOf(service);
  const missingNodes = new Set<string>();
  const topology = new Map<IpFamily, TopologyOutcome>();
  const plan = {
    create: new Array<NewSlice>(),
    update: new Array<EndpointSlice>(),
    delete: new Array<EndpointSlice>(),
  };
  const owned: EndpointSlice[] = [];
  for (const slice of observed.slices) {
    if (!isManagedSlice(slice)) continue;
    const isOfFamily = families.some((family) => family === slice.addressType);
    if (isOwnedBy(slice, service) && isOfFamily) owned.push(slice);
    else plan.delete.push(slice);
  }
  owned.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const family of families) {
    const groups = groupPods(observed, family, missingNodes);
    const existing = owned.filter(({ addressType }) => addressType === family);
    topology.set(family, addTopologyHints(observed, groups, existing));
    const part = planFamily(observed, family, groups, existing);
    plan.create.push(...part.create);
    plan.update.push(...part.update);
    plan.delete.push(...part.delete);
  }
  // Nothing new is made for a Service that is on its way out (EPS-015).
  if (service.metadata.deletionTimestamp !== undefined) plan.create = [];
  return { ...plan, missingNodes: [...missingNodes].toSorted(), topology };
}

/** The families that the Service has slices for (DUAL-015). */
export function familiesOf({ spec }: Service): readonly IpFamily[] {
  if ((spec.ipFamilies ?? []).length > 0) return spec.ipFamilies ?? [];
  // An object from before the field existed: its address tells.
  const { clusterIP = "" } = spec;
  const address = clusterIP === CLUSTER_IP_NONE ? undefined : parseIpAddress(clusterIP);
  return [address === undefined ? "IPv4" : ipFamilyOf(address)];
}

/** The zone that each endpoint is for so far, by {@link endpointKey}. */
export function hintedZonesOf(slices: readonly EndpointSlice[]): ReadonlyMap<string, string> {
  const zones = new Map<string, string>();
  for (const endpoint of slices.flatMap(({ endpoints }) => endpoints)) {
    const [zone] = endpoint.hints?.forZones ?? [];
    if (zone !== undefined) zones.set(endpointKey(endpoint), zone.name);
  }
  return zones;
}

/** A slice to be made: the server gives it a name. */
export type NewSlice = Draft<EndpointSlice> &
  Pick<EndpointSlice, "addressType" | "endpoints"> & { readonly ports: readonly EndpointPort[] };

/** The wanted endpoints of one family, by the ports that their Pods serve (EPS-020, 028, 032). */
function groupPods(
  { service, pods, nodeOf, endpointOf = podEndpointOf }: SlicesObserved,
  family: IpFamily,
  missingNodes: Set<string>,
): ReadonlyMap<string, PortGroup> {
  const groups = new Map<string, PortGroup>();
  const isAuto = wantsTopology(service);
  for (const pod of pods) {
    if (isTerminal(pod)) continue;
    const { nodeName = "" } = pod.spec;
    const node = nodeName === "" ? undefined : nodeOf(nodeName);
    const found = endpointOf(service, pod, family, node?.metadata.labels?.[ZONE_LABEL]);
    if (found === undefined) continue;
    if (node === undefined && nodeName !== "") {
      missingNodes.add(nodeName);
      if (service.spec.publishNotReadyAddresses !== true) continue;
    }
    let group = groups.get(found.portsKey);
    if (group === undefined) {
      group = { ports: found.ports, wanted: new Map<string, Endpoint>() };
      groups.set(found.portsKey, group);
    }
    // The annotation's hints are given to all endpoints together, and go first (TOPO-005).
    const hints = isAuto ? undefined : distributionHints(service, found.endpoint);
    group.wanted.set(
      found.key,
      hints === undefined ? found.endpoint : { ...found.endpoint, hints },
    );
  }
  return groups;
}

/** Gives the wanted endpoints of a family their zones, where the Service asks for it. */
function addTopologyHints(
  { service, zoneCapacity }: SlicesObserved,
  groups: ReadonlyMap<string, PortGroup>,
  existing: readonly EndpointSlice[],
): TopologyOutcome {
  if (!wantsTopology(service)) return { kind: "off" };
  const ready = [...groups.values()].flatMap(({ wanted }) =>
    [...wanted].flatMap(([key, { conditions, zone }]) =>
      conditions.ready === true ? { key, zone } : [],
    ),
  );
  const outcome = planTopology(
    ready,
    hintedZonesOf(existing),
    zoneCapacity?.() ?? { kind: "unknown" },
  );
  if (outcome.kind === "refused") return outcome;
  for (const { wanted } of groups.values()) {
    for (const [key, endpoint] of wanted) {
      const name = outcome.zones.get(key);
      if (name !== undefined) wanted.set(key, { ...endpoint, hints: { forZones: [{ name }] } });
    }
  }
  return outcome;
}

function planFamily(
  observed: SlicesObserved,
  family: IpFamily,
  groups: ReadonlyMap<string, PortGroup>,
  existing: readonly EndpointSlice[],
): Pick<SlicePlan, "create" | "update" | "delete"> {
  const { service, triggerTime, maxEndpointsPerSlice = DEFAULT_MAX_ENDPOINTS_PER_SLICE } = observed;
  const labels = sliceLabelsOf(service);
  const byPorts = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = portsKey(slicePortsOf(slice));
    byPorts.set(key, [...(byPorts.get(key) ?? []), slice]);
  }
  const create: NewSlice[] = [];
  const update: EndpointSlice[] = [];
  const unneeded: EndpointSlice[] = [];
  let kept = 0;
  for (const key of [...new Set([...groups.keys(), ...byPorts.keys()])].toSorted()) {
    const group = groups.get(key) ?? { ports: [], wanted: new Map<string, Endpoint>() };
    const packed = (byPorts.get(key) ?? []).map((slice) => ({ slice, endpoints: slice.endpoints }));
    const packing = packEndpoints(packed, group.wanted, maxEndpointsPerSlice);
    for (const endpoints of packing.create) {
      create.push(newSlice(observed, family, group.ports, endpoints));
    }
    for (const { slice, endpoints } of packing.update) {
      update.push(rewriteSlice(slice, labels, triggerTime, { endpoints }));
    }
    for (const { slice } of packing.unchanged) {
      kept++;
      if (isSameMap(slice.metadata.labels, labels)) continue;
      update.push(rewriteSlice(slice, labels, triggerTime, {}));
    }
    unneeded.push(...packing.empty);
  }

  // The last slice stays as a placeholder, which says that the Service has no endpoints (EPS-002, EPS-046).
  if (create.length === 0 && update.length === 0 && kept === 0) {
    create.push(newSlice(observed, family, [], []));
  }
  // A slice to make and one to delete are one to update (EPS-047, EPS-048).
  const replaced = unneeded.splice(0, Math.min(create.length, unneeded.length));
  for (const slice of replaced) {
    const fresh = create.shift();
    if (fresh === undefined) break;
    const { endpoints, ports } = fresh;
    const isSame =
      endpoints.length === 0 &&
      slice.endpoints.length === 0 &&
      portsKey(slicePortsOf(slice)) === portsKey([]) &&
      ports.length === 0 &&
      isSameMap(slice.metadata.labels, labels);
    if (!isSame) update.push(rewriteSlice(slice, labels, triggerTime, { endpoints, ports }));
  }
  return { create, update, delete: unneeded };
}

function newSlice(
  { service, triggerTime }: SlicesObserved,
  family: IpFamily,
  ports: readonly ResolvedPort[],
  endpoints: readonly Endpoint[],
): NewSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      generateName: `${service.metadata.name}-`,
      namespace: service.metadata.namespace,
      labels: sliceLabelsOf(service),
      ownerReferences: [sliceOwnerOf(service)],
      ...(triggerTime === undefined
        ? {}
        : { annotations: { [TRIGGER_TIME_ANNOTATION]: triggerTime } }),
    },
    addressType: family,
    endpoints,
    ports: ports.map((port): EndpointPort => ({ ...port })),
  };
}

/** The slice with a change, the labels that it should have, and the trigger time of this write. */
export function rewriteSlice(
  slice: EndpointSlice,
  labels: Readonly<Record<string, string>>,
  triggerTime: string | undefined,
  change: Partial<Pick<EndpointSlice, "endpoints" | "ports">>,
): EndpointSlice {
  const annotations = Object.entries(slice.metadata.annotations ?? {}).filter(
    ([key]) => key !== TRIGGER_TIME_ANNOTATION,
  );
  if (triggerTime !== undefined) annotations.push([TRIGGER_TIME_ANNOTATION, triggerTime]);
  return {
    ...slice,
    ...change,
    metadata: {
      ...slice.metadata,
      labels,
      annotations: annotations.length === 0 ? undefined : Object.fromEntries(annotations),
    },
  };
}
