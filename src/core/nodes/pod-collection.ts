import { keyOf } from "../../api/machinery/object-key.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isNodeReady } from "./health.ts";

/** Upstream's terminated-pod-gc-threshold. */
export const TERMINATED_THRESHOLD = 12_500;
/** How long a node must be missing before its Pods are taken to be gone. */
export const QUARANTINE_MS = 40_000;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

/** Why a Pod is collected; the words are those of upstream's metric. */
export type CollectionReason = "out-of-service" | "orphaned" | "terminated" | "unscheduled";

export interface Collected {
  readonly pod: Pod;
  readonly reason: CollectionReason;
}

export interface CollectionObserved {
  readonly pods: readonly Pod[];
  readonly nodes: ReadonlyMap<string, Node>;
  /** Since when nodes that Pods name are missing, in milliseconds. */
  readonly missingSinceMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
  readonly terminatedThreshold: number;
}

/**
 * The Pods that nobody will ever end (NODE-002): of nodes that are gone, of nodes that are out of service and
 * not ready and that are being deleted, those being deleted that never had a node; and of Pods that have
 * ended the oldest beyond the threshold. Each once. Source: upstream `podgc/gc_controller.go`.
 */
export function planPodCollection(observed: CollectionObserved): readonly Collected[] {
  const { pods, nodes, missingSinceMs, nowMs, terminatedThreshold } = observed;
  const collected: Collected[] = [];
  const ended: Pod[] = [];
  for (const pod of pods) {
    const { nodeName = "" } = pod.spec;
    const isDeleted = pod.metadata.deletionTimestamp !== undefined;
    const node = nodes.get(nodeName);
    const missingMs = nowMs - (missingSinceMs.get(nodeName) ?? nowMs);
    if (nodeName !== "" && node === undefined && missingMs >= QUARANTINE_MS) {
      collected.push({ pod, reason: "orphaned" });
    } else if (isDeleted && node !== undefined && isOutOfService(node)) {
      collected.push({ pod, reason: "out-of-service" });
    } else if (isDeleted && nodeName === "") {
      collected.push({ pod, reason: "unscheduled" });
    } else if (!isDeleted && hasEnded(pod)) ended.push(pod);
  }
  const surplus = terminatedThreshold > 0 ? ended.length - terminatedThreshold : 0;
  const oldest = surplus > 0 ? ended.toSorted(byAge).slice(0, surplus) : [];
  return [...collected, ...oldest.map((pod) => ({ pod, reason: "terminated" as const }))];
}

/** Names of nodes that Pods are on and that are not there. */
export function missingNodes(
  pods: readonly Pod[],
  nodes: ReadonlyMap<string, Node>,
): ReadonlySet<string> {
  const names = pods.map(({ spec }) => spec.nodeName ?? "");
  return new Set(names.filter((name) => name !== "" && !nodes.has(name)));
}

function hasEnded({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Whoever set the taint says that the machine is off: nothing of the Pod can run any more (KEP-2268). */
function isOutOfService(node: Node): boolean {
  return !isNodeReady(node) && (node.spec.taints ?? []).some(({ key }) => key === OUT_OF_SERVICE);
}

function byAge(a: Pod, b: Pod): number {
  const [left, right] = [a, b].map(
    (pod) => `${pod.metadata.creationTimestamp ?? ""} ${keyOf(pod)}`,
  );
  return (left ?? "") < (right ?? "") ? -1 : 1;
}
