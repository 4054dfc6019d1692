import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isNodeReady } from "../nodes/health.ts";
import type { ClusterView, NodeView } from "./cluster-view.ts";
import { hostPortsConflict, hostPortsOf } from "./host-ports.ts";
import { isWantedNode } from "./node-affinity.ts";
import { podAffinityOf } from "./pod-affinity.ts";
import { missingResources, podRequests } from "./resources.ts";
import { scoresOf } from "./scores.ts";
import type { Asked } from "./scores.ts";
import { untoleratedTaint } from "./tolerations.ts";
import { topologySpreadOf } from "./topology-spread.ts";

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
 * Chooses a node that takes the Pod: the one with the highest sum of scores (fewest taints, fulfilled wishes,
 * most room), of equals the one with the fewest Pods, then the first by name. The cost is that of the nodes,
 * whatever Pods there are.
 */
export function planPlacement(pod: Pod, view: ClusterView): Placement {
  const asked: Asked = {
    pod,
    requests: podRequests(pod),
    spread: topologySpreadOf(pod, view),
    affinity: podAffinityOf(pod, view),
  };
  const refusalsOf = refuser(asked);
  const reasons = new Map<string, number>();
  const takers: NodeView[] = [];
  for (const candidate of view.nodes) {
    const refusals = refusalsOf(candidate);
    if (refusals.length === 0) takers.push(candidate);
    for (const reason of refusals) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (takers.length > 0) return { kind: "placed", node: best(asked, takers) };
  if (view.nodes.length === 0) {
    return { kind: "unschedulable", message: "no nodes available to schedule pods" };
  }
  const parts = [...reasons].map(([reason, count]) => `${String(count)} ${reason}`).toSorted();
  const message = `0/${String(view.nodes.length)} nodes are available: ${parts.join(", ")}.`;
  return { kind: "unschedulable", message };
}

/** Why a node does not take the Pod, in upstream's order of tests: the first that fails says it. */
function refuser({
  pod,
  requests,
  spread,
  affinity,
}: Asked): (candidate: NodeView) => readonly string[] {
  const tolerations = pod.spec.tolerations ?? [];
  const toleratesCordon = untoleratedTaint([UNSCHEDULABLE_TAINT], tolerations) === undefined;
  const ports = hostPortsOf(pod);
  return (candidate) => {
    const { node } = candidate;
    if (node.spec.unschedulable === true && !toleratesCordon) return ["node(s) were unschedulable"];
    const taint = untoleratedTaint(taintsOf(node), tolerations);
    if (taint !== undefined) {
      return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`];
    }
    if (!isWantedNode(pod, node)) return ["node(s) didn't match Pod's node affinity/selector"];
    if (ports.length > 0 && hostPortsConflict(ports, candidate.hostPorts)) {
      return ["node(s) didn't have free ports for the requested pod ports"];
    }
    const lacks = missingResources(requests, candidate.used, candidate.allocatable);
    const room = candidate.allocatable.get("pods");
    const shortages = [
      // A node that does not say how many Pods it bears is taken to bear them all.
      ...(room !== undefined && candidate.podCount >= room ? ["Too many pods"] : []),
      ...lacks.map((name) => `Insufficient ${name}`),
    ];
    if (shortages.length > 0) return shortages;
    const refusal = spread.refusal(node) ?? affinity.refusal(node);
    return refusal === undefined ? [] : [refusal];
  };
}

/** A node that is not ready counts as tainted, whether or not somebody has put the taint on it yet. */
function taintsOf(node: Node): NonNullable<Node["spec"]["taints"]> {
  const taints = node.spec.taints ?? [];
  return isNodeReady(node) ? taints : [...taints, NOT_READY_TAINT];
}

function best(asked: Asked, takers: readonly NodeView[]): string {
  const scores = takers.length === 1 ? [0] : scoresOf(asked, takers);
  let chosen: NodeView | undefined;
  let highest = 0;
  takers.forEach((candidate, i) => {
    const score = scores[i] ?? 0;
    if (
      chosen === undefined ||
      score > highest ||
      (score === highest && precedes(candidate, chosen))
    ) {
      chosen = candidate;
      highest = score;
    }
  });
  if (chosen === undefined) throw new Error("no node to choose from");
  return chosen.node.metadata.name;
}

function precedes(a: NodeView, b: NodeView): boolean {
  if (a.podCount !== b.podCount) return a.podCount < b.podCount;
  return a.node.metadata.name < b.node.metadata.name;
}
