import type { Pod } from "../../api/v1/pod.ts";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Endpoints } from "../../api/v1/endpoints.ts";
import type { Service } from "../../api/v1/service.ts";
import { isPodReady, readyConditionOf } from "./pod-address.ts";
import { isOwnedBy } from "./slice-metadata.ts";

/** What the last look at a Service saw; kept by the caller between looks. */
export interface TriggerState {
  readonly service: string;
  /** By the Pod's name. */
  readonly pods: Map<string, string>;
}

/**
 * When the earliest of the changes happened that this look is the first to see: Pods whose readiness changed,
 * or a new Service (EPS-050). Written on slices, it measures how long a change takes to reach the network.
 * @returns RFC 3339 in UTC, or undefined when nothing that has a time changed.
 */
export function planTriggerTime(
  service: Service,
  pods: readonly Pod[],
  last: TriggerState | undefined,
): { readonly state: TriggerState; readonly triggerTime: string | undefined } {
  const times: string[] = [];
  const seen = new Map<string, string>();
  for (const pod of pods) {
    const time = readyConditionOf(pod)?.lastTransitionTime;
    if (time === undefined) continue;
    const before = last?.pods.get(pod.metadata.name);
    // Texts of one form in UTC: their order is that of the times.
    const newest = before === undefined || time > before ? time : before;
    seen.set(pod.metadata.name, newest);
    if (newest !== before) times.push(newest);
  }
  const created = service.metadata.creationTimestamp ?? "";
  if (created > (last?.service ?? "")) times.push(created);
  return { state: { service: created, pods: seen }, triggerTime: times.toSorted()[0] };
}

/** Takes a look at some of a Service's Pods into what the looks before it saw. */
export function noteTriggers(state: TriggerState, seen: TriggerState): void {
  for (const [name, time] of seen.pods) state.pods.set(name, time);
}

/**
 * What a controller that is started anew would have seen, by the slices that the last one left; undefined when
 * there are none. Without it the first write would be dated to when the oldest Pod became ready.
 */
export function triggersBySlices(
  service: Service,
  pods: readonly Pod[],
  slices: readonly EndpointSlice[],
): TriggerState | undefined {
  const own = slices.filter((slice) => isOwnedBy(slice, service));
  if (own.length === 0) return undefined;
  const listed = new Map<string, boolean>();
  for (const { conditions, targetRef } of own.flatMap(({ endpoints }) => endpoints)) {
    listed.set(targetRef?.uid ?? "", conditions.serving === true);
  }
  return stateOf(service, pods, listed);
}

/** The same by the Endpoints object that the last one left. */
export function triggersByEndpoints(
  service: Service,
  pods: readonly Pod[],
  endpoints: Endpoints | undefined,
): TriggerState | undefined {
  if (endpoints === undefined) return undefined;
  const listed = new Map<string, boolean>();
  for (const { addresses = [], notReadyAddresses = [] } of endpoints.subsets ?? []) {
    for (const { targetRef } of addresses) listed.set(targetRef?.uid ?? "", true);
    for (const { targetRef } of notReadyAddresses) listed.set(targetRef?.uid ?? "", false);
  }
  return stateOf(service, pods, listed);
}

/** @param listed by the Pod's uid, whether it was ready. */
function stateOf(
  service: Service,
  pods: readonly Pod[],
  listed: ReadonlyMap<string, boolean>,
): TriggerState {
  const seen = new Map<string, string>();
  for (const pod of pods) {
    const time = readyConditionOf(pod)?.lastTransitionTime;
    const isKnown = listed.get(pod.metadata.uid ?? "") === isPodReady(pod);
    if (time !== undefined && isKnown) seen.set(pod.metadata.name, time);
  }
  return { service: service.metadata.creationTimestamp ?? "", pods: seen };
}
