import type { Endpoint, EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import { isTerminal } from "./pod-address.ts";
import { podEndpointOf } from "./pod-endpoint.ts";
import { portsKey, slicePortsOf } from "./pod-ports.ts";
import { selectsPod } from "./selection.ts";
import { endpointKey, isSameEndpoint, ZONE_LABEL } from "./slice-endpoint.ts";
import { sliceLabelsOf } from "./slice-metadata.ts";
import { familiesOf, rewriteSlice } from "./slices.ts";
import { wantsTopology } from "./topology.ts";
import { distributionHints } from "./traffic-distribution.ts";

/** Where the endpoints of a Service are whose slices are as `planSlices` wants them. */
export interface SettledSlices {
  readonly service: Service;
  /** By name. */
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  /** Names of slices, by address type and {@link endpointKey}. */
  readonly placeOf: ReadonlyMap<string, string>;
}

/**
 * @param slices as they are once a plan for the Service is carried out.
 * @returns undefined for a Service whose endpoints depend on one another, by hints.
 */
export function settledSlices(
  service: Service,
  slices: readonly EndpointSlice[],
): SettledSlices | undefined {
  const isGoing = service.metadata.deletionTimestamp !== undefined;
  if (wantsTopology(service) || isGoing) return undefined;
  const placeOf = new Map<string, string>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints) {
      placeOf.set(placeKey(slice.addressType, endpointKey(endpoint)), slice.metadata.name);
    }
  }
  return { service, slices: new Map(slices.map((slice) => [slice.metadata.name, slice])), placeOf };
}

/** The same after some of the slices were rewritten with endpoints of the same Pods. */
export function resettled(
  settled: SettledSlices,
  written: readonly EndpointSlice[],
): SettledSlices {
  const slices = new Map(settled.slices);
  for (const slice of written) slices.set(slice.metadata.name, slice);
  return { ...settled, slices };
}

/**
 * The slices to update when nothing but these Pods has changed since the Service's slices were settled: the plan
 * of {@link planSlices}, at the cost of the Pods' slices instead of all. @returns undefined where a change is more
 * than that an endpoint reads otherwise; then all must be looked at.
 */
export function planChangedPods(
  settled: SettledSlices,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
  triggerTime: string | undefined,
): readonly EndpointSlice[] | undefined {
  const { service } = settled;
  const changed = new Map<string, Endpoint[]>();
  for (const family of familiesOf(service)) {
    for (const pod of pods) {
      if (!selectsPod(service, pod)) return undefined;
      const { nodeName = "" } = pod.spec;
      const node = nodeName === "" ? undefined : nodeOf(nodeName);
      const found = podEndpointOf(service, pod, family, node?.metadata.labels?.[ZONE_LABEL]);
      const key = pod.metadata.uid ?? pod.metadata.name;
      const name = settled.placeOf.get(placeKey(family, key));
      const slice = name === undefined ? undefined : settled.slices.get(name);
      // Was no endpoint, and is none.
      if (slice === undefined && (isTerminal(pod) || found === undefined)) continue;
      const isPlaced = slice !== undefined && found?.portsKey === portsKey(slicePortsOf(slice));
      const isOnNode = node !== undefined || nodeName === "";
      if (!isPlaced || isTerminal(pod) || !isOnNode) return undefined;
      const hints = distributionHints(service, found.endpoint);
      const endpoint = hints === undefined ? found.endpoint : { ...found.endpoint, hints };
      const endpoints = changed.get(slice.metadata.name) ?? [...slice.endpoints];
      const at = endpoints.findIndex((one) => endpointKey(one) === key);
      const before = endpoints[at];
      if (before === undefined) return undefined;
      if (isSameEndpoint(before, endpoint)) continue;
      endpoints[at] = endpoint;
      changed.set(slice.metadata.name, endpoints);
    }
  }
  const labels = sliceLabelsOf(service);
  return [...changed].flatMap(([name, endpoints]) => {
    const slice = settled.slices.get(name);
    return slice === undefined ? [] : [rewriteSlice(slice, labels, triggerTime, { endpoints })];
  });
}

function placeKey(addressType: string, key: string): string {
  return `${addressType} ${key}`;
}
