import type { Node } from "../../api/v1/node.ts";
import { isNodeReady } from "./health.ts";

/** Upstream's unhealthy-zone-threshold. */
const PARTIAL_SHARE = 0.55;
/** Fewer nodes than this that are not ready are never more than single failures. */
const FEW = 2;
/** Upstream's large-cluster-size-threshold: a smaller zone in trouble is left alone altogether. */
const LARGE_ZONE = 50;
/** Upstream's node-eviction-rate of 0.1 a second, and secondary-node-eviction-rate of 0.01. */
const INTERVAL_MS = 10_000;
const SLOW_INTERVAL_MS = 100_000;

export type ZoneState = "normal" | "partial" | "full";

/** Nodes that fail together fail with their zone. */
export function zoneOf({ metadata }: Node): string {
  const { labels = {} } = metadata;
  return JSON.stringify([
    labels["topology.kubernetes.io/region"] ?? "",
    labels["topology.kubernetes.io/zone"] ?? "",
  ]);
}

export function zoneState(ready: number, notReady: number): ZoneState {
  if (notReady > 0 && ready === 0) return "full";
  const isPartial = notReady > FEW && notReady / (notReady + ready) >= PARTIAL_SHARE;
  return isPartial ? "partial" : "normal";
}

export interface Disruption {
  /** No node of the cluster is ready: it is us who are cut off, and no Pod is driven off. */
  readonly isTotal: boolean;
  /** Milliseconds between two nodes of the zone whose Pods are driven off; undefined: none is now. */
  intervalMs(zone: string): number | undefined;
}

/**
 * How fast nodes that are not ready may lose their Pods, by how many of their zone are not ready. Source:
 * upstream `node_lifecycle_controller.go:handleDisruption`.
 */
export function judgeDisruption(nodes: readonly Node[]): Disruption {
  const zones = new Map<string, { ready: number; notReady: number }>();
  for (const node of nodes) {
    const zone = zoneOf(node);
    const counts = zones.get(zone) ?? { ready: 0, notReady: 0 };
    counts[isNodeReady(node) ? "ready" : "notReady"] += 1;
    zones.set(zone, counts);
  }
  const states = [...zones.values()].map(({ ready, notReady }) => zoneState(ready, notReady));
  return {
    isTotal: states.length > 0 && states.every((state) => state === "full"),
    intervalMs: (zone) => {
      const { ready, notReady } = zones.get(zone) ?? { ready: 0, notReady: 0 };
      if (zoneState(ready, notReady) !== "partial") return INTERVAL_MS;
      return ready + notReady > LARGE_ZONE ? SLOW_INTERVAL_MS : undefined;
    },
  };
}
