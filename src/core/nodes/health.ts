import type { Lease } from "../../api/coordination/lease.ts";
import type { Node, NodeCondition } from "../../api/v1/node.ts";
import type { PodCondition } from "../../api/v1/pod-status.ts";
import type { Pod } from "../../api/v1/pod.ts";

/** How long a node's agent may be silent: upstream's node-monitor-grace-period. */
export const NODE_GRACE_MS = 40_000;

/** The last sign of life of a node, by the watcher's own clock, since clocks of machines differ. */
export interface Heartbeat {
  /** What the agent last wrote; compared for being the same only. */
  readonly sign: string;
  /** Milliseconds when it was first seen. */
  readonly seenMs: number;
}

export interface NodeHealth {
  readonly heartbeat: Heartbeat;
  /** Milliseconds until the node counts as lost, if nothing is heard of it; 0: it is lost. */
  readonly leftMs: number;
}

/** Whether a node's agent is heard of: by the renewal of its Lease, or by its status (NODE-001). */
export function judgeNode(
  node: Node,
  lease: Lease | undefined,
  last: Heartbeat | undefined,
  nowMs: number,
  graceMs: number = NODE_GRACE_MS,
): NodeHealth {
  const reported = readyConditionOf(node)?.lastHeartbeatTime ?? "";
  const sign = [node.metadata.uid ?? "", lease?.spec.renewTime ?? "", reported].join("|");
  const heartbeat = last?.sign === sign ? last : { sign, seenMs: nowMs };
  return { heartbeat, leftMs: Math.max(0, graceMs - (nowMs - heartbeat.seenMs)) };
}

export function isNodeReady(node: Node): boolean {
  return readyConditionOf(node)?.status === "True";
}

/**
 * The Ready condition of a node that is lost; undefined when it has it already. The time of the agent's last
 * report stays, since this is none.
 * @param now RFC 3339.
 */
export function lostCondition(node: Node, now: string): NodeCondition | undefined {
  const ready = readyConditionOf(node);
  if (ready?.status === "Unknown") return undefined;
  const wasHeard = ready !== undefined;
  return {
    type: "Ready",
    status: "Unknown",
    ...(ready?.lastHeartbeatTime === undefined
      ? {}
      : { lastHeartbeatTime: ready.lastHeartbeatTime }),
    lastTransitionTime: now,
    reason: wasHeard ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
    message: wasHeard
      ? "Kubelet stopped posting node status."
      : "Kubelet never posted node status.",
  };
}

/** The Ready condition of a Pod whose node is not ready; undefined when it does not claim to be ready. */
export function unreadyCondition(pod: Pod, now: string): PodCondition | undefined {
  const ready = (pod.status?.conditions ?? []).find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return undefined;
  return { ...ready, status: "False", reason: "NodeNotReady", lastTransitionTime: now };
}

function readyConditionOf(node: Node): NodeCondition | undefined {
  return (node.status?.conditions ?? []).find(({ type }) => type === "Ready");
}
