import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { NodeView } from "./cluster-view.ts";
import { nodeWishes } from "./node-affinity.ts";
import type { PodAffinity } from "./pod-affinity.ts";
import { comparedRequests } from "./resources.ts";
import type { Resources } from "./resources.ts";
import { tolerates } from "./tolerations.ts";
import type { TopologySpread } from "./topology-spread.ts";

/** A Pod with what it asks of its node. */
export interface Asked {
  readonly pod: Pod;
  readonly requests: Resources;
  readonly spread: TopologySpread;
  readonly affinity: PodAffinity;
}

/** Upstream's weights of the scores, each of 0 to 100. */
const WEIGHTS = { taints: 3, nodeWishes: 2, podWishes: 2, spread: 2, room: 1 } as const;
const FULL = 100;

/** How good each of the nodes is for the Pod; the greater the better. */
export function scoresOf(asked: Asked, takers: readonly NodeView[]): readonly number[] {
  const { pod, spread, affinity } = asked;
  const tolerations = pod.spec.tolerations ?? [];
  const requests = comparedRequests(asked.requests);
  const each = (score: (candidate: NodeView) => number): readonly number[] => takers.map(score);
  const bad = each(({ node }) => unwelcome(node, tolerations));
  const wishes = each(({ node }) => nodeWishes(pod, node));
  const near = affinity.hasWishes ? each(({ node }) => affinity.wishes(node)) : [];
  const crowding = spread.hasWishes ? takers.map(({ node }) => spread.crowding(node)) : [];
  const [fromBad, fromWishes, fromNear, fromCrowding] = [
    ranged(
      bad.map((count) => -count),
      true,
    ),
    ranged(wishes, true),
    ranged(near, false),
    uncrowded(crowding),
  ];
  return takers.map(
    (candidate, i) =>
      WEIGHTS.taints * (fromBad[i] ?? 0) +
      WEIGHTS.nodeWishes * (fromWishes[i] ?? 0) +
      WEIGHTS.podWishes * (fromNear[i] ?? 0) +
      WEIGHTS.spread * (fromCrowding[i] ?? 0) +
      WEIGHTS.room * roomLeft(candidate, requests),
  );
}

/** Taints that would rather not have the Pod. */
function unwelcome(node: Node, tolerations: NonNullable<Pod["spec"]["tolerations"]>): number {
  return (node.spec.taints ?? []).filter(
    (taint) =>
      taint.effect === "PreferNoSchedule" && !tolerations.some((one) => tolerates(one, taint)),
  ).length;
}

/** As 0 to 100, from the least (or from 0, if that is to be the least) to the greatest. */
function ranged(values: readonly number[], fromZero: boolean): readonly number[] {
  if (values.length === 0) return [];
  const greatest = Math.max(...values, ...(fromZero ? [0] : []));
  const least = Math.min(...values, ...(fromZero ? [0] : []));
  if (greatest === least) return values.map(() => 0);
  return values.map((value) => Math.floor((FULL * (value - least)) / (greatest - least)));
}

/** The least crowded gets 100; a node without the labels 0. Source: upstream `podtopologyspread/scoring.go`. */
function uncrowded(values: readonly (number | undefined)[]): readonly number[] {
  const known = values.filter((value) => value !== undefined);
  const [most, least] = [Math.max(...known), Math.min(...known)];
  return values.map((value) => {
    if (value === undefined) return 0;
    return most === 0 ? FULL : Math.floor((FULL * (most + least - value)) / most);
  });
}

/** How much of cpu and memory would be left with the Pod, in the mean of both: 0 to 100. */
function roomLeft(
  { allocatable, compared }: NodeView,
  requests: { readonly cpu: number; readonly memory: number },
): number {
  const left = (name: "cpu" | "memory"): number => {
    const all = allocatable.get(name) ?? 0;
    const used = compared[name] + requests[name];
    return all === 0 || used > all ? 0 : Math.floor((FULL * (all - used)) / all);
  };
  return Math.floor((left("cpu") + left("memory")) / 2);
}
