import type { DaemonSet, DaemonSetStatus } from "../../api/apps/daemonset.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Toleration } from "../../api/v1/taint.ts";
import { untoleratedTaint } from "../scheduling/tolerations.ts";
import { compareNames, isActive, isEnded, msOf, untilAvailable } from "./pods.ts";
import { amountOf, podFrom } from "./template.ts";

const REVISION_LABEL = "controller-revision-hash";

/** Daemons stay on nodes that have trouble (upstream `daemon/util:AddOrUpdateDaemonPodTolerations`). */
const TOLERATIONS: readonly Toleration[] = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];

export interface DaemonSetObserved {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** Hash of the current template's state. */
  readonly updateHash: string;
  readonly nowMs: number;
}

export interface DaemonSetPlan {
  readonly create: readonly Draft<Pod>[];
  readonly delete: readonly Pod[];
  readonly status: DaemonSetStatus;
  readonly againAfterMs: number | undefined;
}

/**
 * One Pod on each node that the template selects and tolerates. Each is made with its node named, so it waits
 * for no scheduler. Updates delete before they create: maxSurge counts as maxUnavailable.
 */
export function planDaemonSet(observed: DaemonSetObserved): DaemonSetPlan {
  const { set, nodes, pods, updateHash, nowMs } = observed;
  const { spec, metadata } = set;
  const minReady = spec.minReadySeconds ?? 0;
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const node = pod.spec.nodeName ?? "";
    const there = byNode.get(node) ?? [];
    byNode.set(node, [...there, pod]);
  }
  const wanted = nodes.filter((node) => wants(set, node)).map((node) => node.metadata.name);
  const create: Draft<Pod>[] = [];
  const remove: Pod[] = [];
  const kept: Pod[] = [];
  for (const node of wanted.toSorted()) {
    const there = byNode.get(node) ?? [];
    remove.push(...there.filter((pod) => isEnded(pod) && !isGoing(pod)));
    const [oldest, ...surplus] = there.filter(isActive).toSorted(byAge);
    if (oldest !== undefined) kept.push(oldest);
    remove.push(...surplus);
    // The old Pod must be gone first: they may want the same ports.
    if (there.length === 0) create.push(newPod(observed, node));
  }
  const misplaced = pods.filter((pod) => !wanted.includes(pod.spec.nodeName ?? ""));
  remove.push(...misplaced.filter((pod) => !isGoing(pod)));

  const waits = kept.map((pod) => untilAvailable(pod, minReady, nowMs));
  const available = waits.filter((ms) => ms === 0).length;
  const isNew = (pod: Pod): boolean => pod.metadata.labels?.[REVISION_LABEL] === updateHash;
  if (spec.updateStrategy?.type !== "OnDelete") {
    const { maxUnavailable, maxSurge } = spec.updateStrategy?.rollingUpdate ?? {};
    const limit = Math.max(
      1,
      amountOf(maxUnavailable, wanted.length, "up"),
      amountOf(maxSurge, wanted.length, "up"),
    );
    let budget = limit - (wanted.length - available);
    for (const [i, pod] of kept.entries()) {
      if (isNew(pod)) continue;
      // One that is not available costs nothing.
      if (waits[i] === 0 && budget-- <= 0) continue;
      remove.push(pod);
    }
  }
  const isDeleted = metadata.deletionTimestamp !== undefined;
  const pending = waits.filter((ms) => ms !== undefined && ms > 0) as number[]; // Filtered just so.
  return {
    create: isDeleted ? [] : create,
    delete: isDeleted ? [] : remove,
    status: {
      ...set.status,
      ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
      desiredNumberScheduled: wanted.length,
      currentNumberScheduled: kept.length,
      numberMisscheduled: new Set(misplaced.filter(isActive).map((pod) => pod.spec.nodeName)).size,
      numberReady: waits.filter((ms) => ms !== undefined).length,
      numberAvailable: available,
      numberUnavailable: wanted.length - available,
      updatedNumberScheduled: kept.filter(isNew).length,
    },
    againAfterMs: pending.length === 0 ? undefined : Math.min(...pending),
  };
}

function isGoing({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function byAge(a: Pod, b: Pod): number {
  const age = (pod: Pod): number => msOf(pod.metadata.creationTimestamp) ?? 0;
  return age(a) - age(b) || compareNames(a, b);
}

function tolerationsOf({ spec }: DaemonSet): readonly Toleration[] {
  return [...(spec.template.spec.tolerations ?? []), ...TOLERATIONS];
}

function wants(set: DaemonSet, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const { nodeSelector = {}, nodeName = "" } = set.spec.template.spec;
  return (
    node.metadata.deletionTimestamp === undefined &&
    (nodeName === "" || nodeName === node.metadata.name) &&
    Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
    untoleratedTaint(node.spec?.taints ?? [], tolerationsOf(set)) === undefined
  );
}

function newPod({ set, updateHash }: DaemonSetObserved, nodeName: string): Draft<Pod> {
  return podFrom(set.spec.template, set, {
    labels: { [REVISION_LABEL]: updateHash },
    spec: { nodeName, tolerations: tolerationsOf(set) },
  });
}
