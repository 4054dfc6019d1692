import type { TopologySpreadConstraint } from "../../api/v1/affinity.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { ClusterView } from "./cluster-view.ts";
import { isWantedNode } from "./node-affinity.ts";
import { queryMatches, spreadQuery } from "./pod-query.ts";
import { untoleratedTaint } from "./tolerations.ts";

const MISSING_LABEL =
  "node(s) didn't match pod topology spread constraints (missing required label)";
const SKEWED = "node(s) didn't match pod topology spread constraints";

interface Spread {
  readonly constraint: TopologySpreadConstraint;
  /** Matching Pods by value of the topology key, of the nodes that count. */
  readonly byDomain: ReadonlyMap<string, number>;
  /** The Pod itself is one of those that the constraint counts. */
  readonly own: 0 | 1;
  readonly least: number;
}

export interface TopologySpread {
  /** Why the node is refused by a constraint with DoNotSchedule. */
  refusal(node: Node): string | undefined;
  /**
   * How crowded the node's domains are by the constraints with ScheduleAnyway, the less the better; undefined
   * for a node without their labels. `hasWishes` is false when there are none.
   */
  crowding(node: Node): number | undefined;
  readonly hasWishes: boolean;
}

/** The spread constraints of a Pod over the cluster. Source: upstream `plugins/podtopologyspread`. */
export function topologySpreadOf(pod: Pod, view: ClusterView): TopologySpread {
  const constraints = pod.spec.topologySpreadConstraints ?? [];
  const demands = spreadsOf(pod, view, constraints, "DoNotSchedule");
  const wishes = spreadsOf(pod, view, constraints, "ScheduleAnyway");
  return {
    hasWishes: wishes.length > 0,
    refusal: (node) => {
      for (const { constraint, byDomain, own, least } of demands) {
        const domain = node.metadata.labels?.[constraint.topologyKey];
        if (domain === undefined) return MISSING_LABEL;
        const skew = (byDomain.get(domain) ?? 0) + own - least;
        if (skew > constraint.maxSkew) return SKEWED;
      }
      return undefined;
    },
    crowding: (node) => {
      let sum = 0;
      for (const { constraint, byDomain } of wishes) {
        const domain = node.metadata.labels?.[constraint.topologyKey];
        if (domain === undefined) return undefined;
        // Many domains have few Pods each: the weight makes up for it, as upstream.
        const weight = Math.log(byDomain.size + 2);
        sum += (byDomain.get(domain) ?? 0) * weight + (constraint.maxSkew - 1);
      }
      return sum;
    },
  };
}

function spreadsOf(
  pod: Pod,
  view: ClusterView,
  constraints: readonly TopologySpreadConstraint[],
  whenUnsatisfiable: string,
): readonly Spread[] {
  const wanted = constraints.filter((one) => one.whenUnsatisfiable === whenUnsatisfiable);
  if (wanted.length === 0) return [];
  const keys = wanted.map(({ topologyKey }) => topologyKey);
  // A node without one of the labels belongs to no domain of any of them.
  const labelled = view.nodes.filter(({ node }) =>
    keys.every((key) => node.metadata.labels?.[key] !== undefined),
  );
  return wanted.map((constraint) => {
    const query = spreadQuery(constraint, pod);
    const counts = view.countsOf(query);
    const byDomain = new Map<string, number>();
    for (const { node } of labelled) {
      if (!isCounted(constraint, pod, node)) continue;
      const domain = node.metadata.labels?.[constraint.topologyKey] ?? "";
      const count = counts.get(node.metadata.name) ?? 0;
      byDomain.set(domain, (byDomain.get(domain) ?? 0) + count);
    }
    const isShort = byDomain.size < (constraint.minDomains ?? 1);
    const least = isShort ? 0 : Math.min(...byDomain.values());
    return { constraint, byDomain, own: queryMatches(query, pod) ? 1 : 0, least };
  });
}

/** The node's Pods count: by default those of nodes that the Pod may choose, taints aside. */
function isCounted(
  { nodeAffinityPolicy = "Honor", nodeTaintsPolicy = "Ignore" }: TopologySpreadConstraint,
  pod: Pod,
  node: Node,
): boolean {
  if (nodeAffinityPolicy === "Honor" && !isWantedNode(pod, node)) return false;
  const taints = node.spec.taints ?? [];
  return (
    nodeTaintsPolicy !== "Honor" ||
    untoleratedTaint(taints, pod.spec.tolerations ?? []) === undefined
  );
}
