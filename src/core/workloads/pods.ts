import type { OwnerReference, KubernetesObject } from "../../api/machinery/metadata.ts";
import { parseTimestamp } from "../../api/machinery/time.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { readyConditionOf } from "../endpoints/pod-address.ts";

/** Epoch milliseconds of an API time; undefined where there is none. */
export function msOf(time: string | undefined): number | undefined {
  const parsed = time === undefined ? undefined : parseTimestamp(time);
  return parsed === undefined ? undefined : parsed.seconds * 1000;
}

/** The one owner that manages the object. */
export function controllerOf({ metadata }: KubernetesObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** What a controller's object says of its owner. */
export function controllerReference(owner: KubernetesObject): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isEnded({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** It runs or will run, and nobody has asked it to end. */
export function isActive(pod: Pod): boolean {
  return !isEnded(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isReady(pod: Pod): boolean {
  return readyConditionOf(pod)?.status === "True";
}

/**
 * Milliseconds until the Pod has been ready for long enough: 0 when it is available, undefined when it is not
 * even ready.
 */
export function untilAvailable(
  pod: Pod,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const since = msOf(readyConditionOf(pod)?.lastTransitionTime);
  return since === undefined ? undefined : Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

export interface PodCounts {
  readonly ready: number;
  readonly available: number;
  /** Until the next ready Pod becomes available. */
  readonly nextAvailableMs: number | undefined;
}

export function countPods(pods: readonly Pod[], minReadySeconds: number, nowMs: number): PodCounts {
  const waits = pods.flatMap((pod) => untilAvailable(pod, minReadySeconds, nowMs) ?? []);
  const pending = waits.filter((ms) => ms > 0);
  return {
    ready: waits.length,
    available: waits.length - pending.length,
    nextAvailableMs: pending.length === 0 ? undefined : Math.min(...pending),
  };
}

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * Which Pods go first when there are too many: those without a node, not running, not ready, cheap by
 * `controller.kubernetes.io/pod-deletion-cost`, on nodes with more Pods of the same owner, ready for less time,
 * restarted more often, newer. Times count by their magnitude only, so that among Pods of about one age chance
 * decides (KEP-2185). Source: upstream `controller_utils.go:ActivePodsWithRanks`.
 * @param related Pods of all sets of the same owner; default the Pods themselves.
 */
export function inOrderOfDeletion(
  pods: readonly Pod[],
  nowMs: number,
  related: readonly Pod[] = pods,
): readonly Pod[] {
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec.nodeName ?? "";
    if (isActive(pod)) perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const magnitude = (time: string | undefined): number => {
    const ms = nowMs - (msOf(time) ?? 0);
    return ms <= 0 ? -1 : Math.floor(Math.log2(ms * 1e6));
  };
  const rank = (pod: Pod): readonly number[] => {
    const cost = Number(
      pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0,
    );
    const restarts = (pod.status?.containerStatuses ?? []).map((one) => one.restartCount ?? 0);
    return [
      (pod.spec.nodeName ?? "") === "" ? 0 : 1,
      PHASES[pod.status?.phase ?? "Pending"] ?? 1,
      isReady(pod) ? 1 : 0,
      Number.isFinite(cost) ? cost : 0,
      -(perNode.get(pod.spec.nodeName ?? "") ?? 0),
      isReady(pod) ? magnitude(readyConditionOf(pod)?.lastTransitionTime) : 0,
      -Math.max(0, ...restarts),
      magnitude(pod.metadata.creationTimestamp),
    ];
  };
  const ranked = pods.map((pod) => ({ pod, rank: rank(pod) }));
  ranked.sort((a, b) => compareRanks(a.rank, b.rank) || compareUids(a.pod, b.pod));
  return ranked.map(({ pod }) => pod);
}

function compareUids(a: Pod, b: Pod): number {
  const [one = "", other = ""] = [a.metadata.uid, b.metadata.uid];
  return one < other ? -1 : one > other ? 1 : compareNames(a, b);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function compareNames(a: KubernetesObject, b: KubernetesObject): number {
  return a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0;
}
