import { quantityNumber } from "../../api/machinery/quantity.ts";
import type { Node } from "../../api/v1/node.ts";
import { ZONE_LABEL } from "./slice-endpoint.ts";

/** Each zone's part of the CPU of all ready nodes, which is taken for its part of the traffic (TOPO-007, 009). */
export type ZoneCapacity =
  /** By the zone's name; the parts add up to 1. */
  | { readonly kind: "known"; readonly shares: ReadonlyMap<string, number> }
  /** A node that counts does not say its zone or its CPU. */
  | { readonly kind: "unknown" };

/** Nodes with one of these labels do no work of users (upstream `topologycache.go`: `hasExcludedLabels`). */
const CONTROL_PLANE_LABELS = [
  "node-role.kubernetes.io/control-plane",
  "node-role.kubernetes.io/master",
];

export function zoneCapacityOf(nodes: Iterable<Node>): ZoneCapacity {
  const cpus = new Map<string, number>();
  let total = 0;
  for (const node of nodes) {
    const counted = countedNode(node);
    if (counted === undefined) continue;
    const { zone, cpu } = counted;
    if (zone === "" || cpu === 0) return { kind: "unknown" };
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (total === 0) return { kind: "unknown" };
  const shares = [...cpus].map(([zone, cpu]) => [zone, cpu / total] as const);
  return { kind: "known", shares: new Map(shares) };
}

/** A change from the one to the other changes no zone's capacity (TOPO-014); undefined: no such node. */
export function isSameCapacity(before: Node | undefined, after: Node | undefined): boolean {
  const [a, b] = [before, after].map((node) =>
    node === undefined ? undefined : countedNode(node),
  );
  return a?.zone === b?.zone && a?.cpu === b?.cpu;
}

/** What the node counts with; undefined: not at all. `cpu` is in cores, 0 when unknown. */
function countedNode(node: Node): { readonly zone: string; readonly cpu: number } | undefined {
  const { labels = {} } = node.metadata;
  if (CONTROL_PLANE_LABELS.some((label) => labels[label] !== undefined)) return undefined;
  const ready = (node.status?.conditions ?? []).find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return undefined;
  const cpu = quantityNumber(node.status?.allocatable?.["cpu"] ?? "0") ?? 0;
  return { zone: labels[ZONE_LABEL] ?? "", cpu: Math.max(0, cpu) };
}
