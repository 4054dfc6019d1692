import type { DaemonSet, DaemonSetStatus } from "../../api/apps/daemonset.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Toleration } from "../../api/v1/taint.ts";
import { isWantedNode } from "../scheduling/node-affinity.ts";
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

/** A daemon that fails at once is not made anew at once: so long after it was made it goes. */
const FAILED_DELAY_MS = 10_000;

/** The daemons of one node that run or will run: of the current template, and of an earlier one. */
interface NodePods {
  readonly node: string;
  readonly fresh: Pod | undefined;
  readonly old: Pod | undefined;
  /** It has others too, which are on their way out. */
  readonly isEmpty: boolean;
}

interface Steps {
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
}

/**
 * One Pod on each node that the template selects and tolerates. Each is made with its node named, so it waits for
 * no scheduler. A node that only its NoSchedule taints turn from a Pod keeps the one it has.
 * Source: upstream `daemon_controller.go:podsShouldBeOnNode`, `update.go:rollingUpdate`.
 */
export function planDaemonSet(observed: DaemonSetObserved): DaemonSetPlan {
  const { set, nodes, pods, updateHash, nowMs } = observed;
  const { spec, metadata } = set;
  const minReady = spec.minReadySeconds ?? 0;
  const waitOf = (pod: Pod | undefined): number | undefined =>
    pod === undefined ? undefined : untilAvailable(pod, minReady, nowMs);
  const { maxUnavailable, maxSurge } = spec.updateStrategy?.rollingUpdate ?? {};
  const isRolling = spec.updateStrategy?.type !== "OnDelete";
  const wanted = nodes.filter((node) => wants(set, node, "runs")).map(nameOf);
  const keeping = new Set(nodes.filter((node) => wants(set, node, "stays")).map(nameOf));
  const surge = isRolling ? amountOf(maxSurge, wanted.length, "up") : 0;
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const { nodeName = "" } = pod.spec;
    byNode.set(nodeName, [...(byNode.get(nodeName) ?? []), pod]);
  }
  const remove: Pod[] = [];
  const waits: number[] = [];
  const states = wanted.toSorted().map((node): NodePods => {
    const there = byNode.get(node) ?? [];
    for (const pod of there.filter((one) => isEnded(one) && !isGoing(one))) {
      const age = nowMs - (msOf(pod.metadata.creationTimestamp) ?? 0);
      if (age >= FAILED_DELAY_MS) remove.push(pod);
      else waits.push(FAILED_DELAY_MS - age);
    }
    const active = there.filter(isActive).toSorted(byAge);
    const isNew = (pod: Pod): boolean => pod.metadata.labels?.[REVISION_LABEL] === updateHash;
    const oldest = (list: readonly Pod[]): Pod | undefined => list[0];
    // Without surge there is one Pod; with it, one of each template.
    const kept =
      surge === 0
        ? active.slice(0, 1)
        : [oldest(active.filter(isNew)), oldest(active.filter((pod) => !isNew(pod)))];
    remove.push(...active.filter((pod) => !kept.includes(pod)));
    const fresh = kept.find((pod) => pod !== undefined && isNew(pod));
    const old = kept.find((pod) => pod !== undefined && !isNew(pod));
    return { node, fresh, old, isEmpty: there.length === 0 };
  });
  const misplaced = pods.filter(({ spec: { nodeName = "" } }) => !wanted.includes(nodeName));
  remove.push(...misplaced.filter((pod) => !isGoing(pod) && !keeping.has(pod.spec.nodeName ?? "")));
  const steps = !isRolling
    ? { create: [], delete: [] }
    : surge > 0
      ? surgeSteps(states, surge, waitOf)
      : replaceSteps(states, Math.max(1, amountOf(maxUnavailable, wanted.length, "up")), waitOf);
  const create = [
    ...states.filter(({ isEmpty }) => isEmpty).map(({ node }) => node),
    ...steps.create,
  ].map((node) => newPod(observed, node));

  const some = (test: (pod: Pod | undefined) => boolean): number =>
    states.filter(({ fresh, old }) => test(fresh) || test(old)).length;
  const available = some((pod) => waitOf(pod) === 0);
  for (const { fresh, old } of states) {
    for (const ms of [waitOf(fresh), waitOf(old)]) if (ms !== undefined && ms > 0) waits.push(ms);
  }
  const isDeleted = metadata.deletionTimestamp !== undefined;
  return {
    create: isDeleted ? [] : create,
    delete: isDeleted ? [] : [...remove, ...steps.delete],
    status: {
      ...set.status,
      ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
      desiredNumberScheduled: wanted.length,
      currentNumberScheduled: some((pod) => pod !== undefined),
      numberMisscheduled: new Set(misplaced.filter(isActive).map((pod) => pod.spec.nodeName)).size,
      numberReady: some((pod) => waitOf(pod) !== undefined),
      numberAvailable: available,
      numberUnavailable: wanted.length - available,
      updatedNumberScheduled: states.filter(
        ({ fresh, old }) => fresh !== undefined && old === undefined,
      ).length,
    },
    againAfterMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

type WaitOf = (pod: Pod | undefined) => number | undefined;

/** The old Pod must be gone before the new one is made: they may want the same ports. */
function replaceSteps(states: readonly NodePods[], limit: number, waitOf: WaitOf): Steps {
  const isUnavailable = ({ fresh, old }: NodePods): boolean => waitOf(fresh ?? old) !== 0;
  let budget = limit - states.filter(isUnavailable).length;
  const remove: Pod[] = [];
  for (const state of states) {
    if (state.old === undefined || state.fresh !== undefined) continue;
    // One that is not available costs nothing.
    if (!isUnavailable(state) && budget-- <= 0) continue;
    remove.push(state.old);
  }
  return { create: [], delete: remove };
}

/** The new Pod is made beside the old one, which goes when the new one is available. */
function surgeSteps(states: readonly NodePods[], limit: number, waitOf: WaitOf): Steps {
  const both = states.filter(({ fresh, old }) => fresh !== undefined && old !== undefined);
  const remove = both.filter(({ fresh, old }) => waitOf(fresh) === 0 || waitOf(old) === undefined);
  let budget = limit - both.filter(({ fresh }) => waitOf(fresh) !== 0).length;
  const create: string[] = [];
  for (const { node, fresh, old } of states) {
    if (fresh !== undefined || old === undefined) continue;
    // Beside one that is not available a new one costs nothing.
    if (waitOf(old) === 0 && budget-- <= 0) continue;
    create.push(node);
  }
  return { create, delete: remove.flatMap(({ old }) => old ?? []) };
}

function nameOf({ metadata }: Node): string {
  return metadata.name;
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

/** The node should get a Pod, or may keep the one it has. */
function wants(set: DaemonSet, node: Node, what: "runs" | "stays"): boolean {
  const { template } = set.spec;
  const { nodeName = "" } = template.spec;
  // Only what is asked of nodes counts.
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "" },
    spec: template.spec,
  } as const;
  const taints = (node.spec?.taints ?? []).filter(
    ({ effect }) => what === "runs" || effect === "NoExecute",
  );
  return (
    node.metadata.deletionTimestamp === undefined &&
    (nodeName === "" || nodeName === node.metadata.name) &&
    isWantedNode(pod, node) &&
    untoleratedTaint(taints, tolerationsOf(set)) === undefined
  );
}

function newPod({ set, updateHash }: DaemonSetObserved, nodeName: string): Draft<Pod> {
  return podFrom(set.spec.template, set, {
    labels: { [REVISION_LABEL]: updateHash },
    spec: { nodeName, tolerations: tolerationsOf(set) },
  });
}
