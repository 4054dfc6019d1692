import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { ClusterView } from "./cluster-view.ts";
import { requiredAntiAffinity } from "./cluster-view.ts";
import { allOf, queryMatches, resolveTerm } from "./pod-query.ts";
import type { PodQuery, ResolvedTerm } from "./pod-query.ts";

const REJECTED = "node(s) didn't satisfy existing pods anti-affinity rules";
const NOT_NEAR = "node(s) didn't match pod affinity rules";
const TOO_NEAR = "node(s) didn't match pod anti-affinity rules";

/** Where matching Pods are: how many have each value of a topology key. */
interface Neighbours {
  readonly topologyKey: string;
  readonly byDomain: ReadonlyMap<string, number>;
}

export interface PodAffinity {
  /** Why the node is refused: by what the Pod asks to be near to or far from, or by Pods that are there. */
  refusal(node: Node): string | undefined;
  /** The sum of the weights of the Pods that it wishes to be near to, less of those it wishes to be far from. */
  wishes(node: Node): number;
  readonly hasWishes: boolean;
}

/** Affinity of a Pod to Pods over the cluster. Source: upstream `plugins/interpodaffinity`. */
export function podAffinityOf(pod: Pod, view: ClusterView): PodAffinity {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  const resolve = (term: Parameters<typeof resolveTerm>[0]): ResolvedTerm =>
    resolveTerm(term, pod, view.namespaces);
  const wanted = (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(resolve);
  const together = allOf(wanted);
  const near = wanted.map((term) => neighbours(view, together, term.topologyKey));
  // The first of a group of Pods that want to be together has nobody to be near to yet.
  const isFirst = near.every(({ byDomain }) => byDomain.size === 0) && queryMatches(together, pod);
  const far = requiredAntiAffinity(pod, view.namespaces).map((term) =>
    neighbours(view, term.query, term.topologyKey),
  );
  const rejections = [...view.rejections]
    .filter(({ term }) => queryMatches(term.query, pod))
    .map(({ term, byNode }) => domainsOf(view, byNode, term.topologyKey));
  const weighted = [
    ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ weight, podAffinityTerm }) => ({ weight, term: resolve(podAffinityTerm) }),
    ),
    ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ weight, podAffinityTerm }) => ({ weight: -weight, term: resolve(podAffinityTerm) }),
    ),
  ].map(({ weight, term }) => ({ weight, at: neighbours(view, term.query, term.topologyKey) }));

  return {
    hasWishes: weighted.length > 0,
    refusal: (node) => {
      if (rejections.some((at) => countAt(at, node) > 0)) return REJECTED;
      const isNear = near.every(
        (at) =>
          node.metadata.labels?.[at.topologyKey] !== undefined &&
          (isFirst || countAt(at, node) > 0),
      );
      if (!isNear) return NOT_NEAR;
      return far.some((at) => countAt(at, node) > 0) ? TOO_NEAR : undefined;
    },
    wishes: (node) => weighted.reduce((sum, { weight, at }) => sum + weight * countAt(at, node), 0),
  };
}

function neighbours(view: ClusterView, query: PodQuery, topologyKey: string): Neighbours {
  return domainsOf(view, view.countsOf(query), topologyKey);
}

function domainsOf(
  view: ClusterView,
  byNode: ReadonlyMap<string, number>,
  topologyKey: string,
): Neighbours {
  const byDomain = new Map<string, number>();
  for (const [name, count] of byNode) {
    const domain = view.node(name)?.metadata.labels?.[topologyKey];
    if (domain !== undefined) byDomain.set(domain, (byDomain.get(domain) ?? 0) + count);
  }
  return { topologyKey, byDomain };
}

function countAt({ topologyKey, byDomain }: Neighbours, { metadata }: Node): number {
  return byDomain.get(metadata.labels?.[topologyKey] ?? "") ?? 0;
}
