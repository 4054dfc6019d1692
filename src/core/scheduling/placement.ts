import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isNodeReady } from "../nodes/health.ts";
import { hostPortsConflict, hostPortsOf } from "./host-ports.ts";
import type { HostPort } from "./host-ports.ts";
import { untoleratedTaint } from "./tolerations.ts";

export interface PlacementObserved {
  readonly pod: Pod;
  readonly nodes: readonly Node[];
  /** How many Pods that have not ended a node has. */
  readonly podCountOf: (nodeName: string) => number;
  /** The node's ports that its Pods have taken; asked only for Pods that want some. */
  readonly hostPortsOn: (nodeName: string) => readonly HostPort[];
}

export type Placement =
  | { readonly kind: "placed"; readonly node: string }
  /** No node takes the Pod; `message` counts the reasons, as upstream's scheduler words them. */
  | { readonly kind: "unschedulable"; readonly message: string };

const UNSCHEDULABLE_TAINT = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
const NOT_READY_TAINT = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/** The Pod waits for this scheduler to choose its node. */
export function needsPlacement({ metadata, spec, status }: Pod, schedulerName: string): boolean {
  const { nodeName = "", schedulerName: wanted = "", schedulingGates = [] } = spec;
  return (
    nodeName === "" &&
    metadata.deletionTimestamp === undefined &&
    status?.phase !== "Succeeded" &&
    status?.phase !== "Failed" &&
    schedulingGates.length === 0 &&
    (wanted === "" || wanted === schedulerName)
  );
}

/**
 * Chooses a node that is ready, schedulable, tolerated, selected, and has the Pod's host ports free: the one
 * with the fewest Pods, by name on a tie. Resources are not counted: Pods are processes of this machine.
 */
export function planPlacement(observed: PlacementObserved): Placement {
  const { pod, nodes, podCountOf } = observed;
  const ports = hostPortsOf(pod);
  const reasons = new Map<string, number>();
  let best: { readonly node: string; readonly count: number } | undefined;
  for (const node of nodes) {
    const reason = refusal(observed, node, ports);
    if (reason !== undefined) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const { name } = node.metadata;
    const count = podCountOf(name);
    const isBetter =
      best === undefined || count < best.count || (count === best.count && name < best.node);
    if (isBetter) best = { node: name, count };
  }
  if (best !== undefined) return { kind: "placed", node: best.node };
  if (nodes.length === 0) {
    return { kind: "unschedulable", message: "no nodes available to schedule pods" };
  }
  const parts = [...reasons].map(([reason, count]) => `${String(count)} ${reason}`).toSorted();
  const message = `0/${String(nodes.length)} nodes are available: ${parts.join(", ")}.`;
  return { kind: "unschedulable", message };
}

function refusal(
  { pod, hostPortsOn }: PlacementObserved,
  node: Node,
  ports: readonly HostPort[],
): string | undefined {
  const tolerations = pod.spec.tolerations ?? [];
  const isCordoned =
    node.spec?.unschedulable === true &&
    untoleratedTaint([UNSCHEDULABLE_TAINT], tolerations) !== undefined;
  if (isCordoned) return "node(s) were unschedulable";
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(pod.spec.nodeSelector ?? {});
  if (!selector.every(([key, value]) => labels[key] === value)) {
    return "node(s) didn't match Pod's node affinity/selector";
  }
  // A node that is not ready counts as tainted, whether or not somebody has put the taint on it yet.
  const taints = [...(node.spec?.taints ?? []), ...(isNodeReady(node) ? [] : [NOT_READY_TAINT])];
  const taint = untoleratedTaint(taints, tolerations);
  if (taint !== undefined) {
    return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  }
  if (ports.length > 0 && hostPortsConflict(ports, hostPortsOn(node.metadata.name))) {
    return "node(s) didn't have free ports for the requested pod ports";
  }
  return undefined;
}
