import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import { readyConditionOf } from "./pod-address.ts";

/** What the last look at a Service saw; kept by the caller between looks. */
export interface TriggerState {
  readonly service: string;
  /** By the Pod's name. */
  readonly pods: ReadonlyMap<string, string>;
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
