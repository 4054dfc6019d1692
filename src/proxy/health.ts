import type { Node } from "../api/v1/node.ts";

/** An update that waits longer than this means that the proxy is stuck (HC-009): two sync periods of 30 s. */
const STUCK_MS = 60_000;
/** Set by the cluster autoscaler on a node that it is about to remove. */
const GOING_TAINT = "ToBeDeletedByClusterAutoscaler";

/** Load balancers should still send traffic to the node (HC-010). */
export function isNodeEligible(node: Node | undefined): boolean {
  if (node === undefined) return true;
  if (node.metadata.deletionTimestamp !== undefined) return false;
  return !(node.spec?.taints ?? []).some((taint) => taint.key === GOING_TAINT);
}

export interface ProxyState {
  /** Since when the oldest change waits to be applied; undefined when none does. */
  readonly queuedSinceMs: number | undefined;
  /** When the last change was applied; undefined before the first. */
  readonly appliedMs: number | undefined;
  readonly isNodeEligible: boolean;
}

/** An idle proxy is healthy; one that has something to do must get it done (HC-009). */
export function isProxyHealthy(state: ProxyState, nowMs: number): boolean {
  return state.queuedSinceMs === undefined || nowMs - state.queuedSinceMs < STUCK_MS;
}

/**
 * The answer of the proxy's own health endpoint, on port 10256 by custom: `/healthz` minds the node's state,
 * `/livez` does not (HC-008, HC-010, HC-011). Times are epoch milliseconds.
 */
export function proxyHealthAnswer(
  path: "/healthz" | "/livez",
  state: ProxyState,
  nowMs: number,
): { readonly status: 200 | 503; readonly body: string } {
  const healthy = isProxyHealthy(state, nowMs);
  const isGood = healthy && (path === "/livez" || state.isNodeEligible);
  const lastMs = healthy ? nowMs : (state.appliedMs ?? 0);
  return {
    status: isGood ? 200 : 503,
    body: JSON.stringify({
      lastUpdated: new Date(lastMs).toISOString(),
      currentTime: new Date(nowMs).toISOString(),
      ...(path === "/livez" ? {} : { nodeEligible: state.isNodeEligible }),
      healthy,
    }),
  };
}
