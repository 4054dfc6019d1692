import { amountOf } from "./template.ts";

/** A ReplicaSet of a Deployment, as far as the pace of an update needs it. */
export interface Part {
  readonly wanted: number;
  readonly available: number;
}

export interface Pace {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/**
 * Percents as numbers: surge rounded up, unavailable down; if both come out as zero one Pod may be missing,
 * since nothing could move otherwise (upstream `deployment_util.go:ResolveFenceposts`).
 */
export function paceOf(
  replicas: number,
  maxSurge: string | number | undefined,
  maxUnavailable: string | number | undefined,
): Pace {
  const surge = amountOf(maxSurge, replicas, "up");
  const unavailable = Math.min(replicas, amountOf(maxUnavailable, replicas, "down"));
  return {
    replicas,
    maxSurge: surge,
    maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable,
  };
}

/** The size of the new set: as many more as there may be Pods in all. */
export function rollUp(pace: Pace, fresh: Part, olds: readonly Part[]): number {
  if (fresh.wanted >= pace.replicas) return pace.replicas;
  const total = fresh.wanted + sum(olds, ({ wanted }) => wanted);
  const room = Math.max(0, pace.replicas + pace.maxSurge - total);
  return Math.min(pace.replicas, fresh.wanted + room);
}

/**
 * The sizes of the old sets, oldest first: Pods that are not available go first, then available ones as long
 * as enough are left (upstream `rolling.go:reconcileOldReplicaSets`).
 */
export function rollDown(pace: Pace, fresh: Part, olds: readonly Part[]): readonly number[] {
  const sizes = olds.map(({ wanted }) => wanted);
  const minAvailable = pace.replicas - pace.maxUnavailable;
  const total = fresh.wanted + sum(olds, ({ wanted }) => wanted);
  let budget = total - minAvailable - Math.max(0, fresh.wanted - fresh.available);
  for (const [i, { wanted, available }] of olds.entries()) {
    const drop = Math.max(0, Math.min(budget, wanted - available));
    sizes[i] = wanted - drop;
    budget -= drop;
  }
  // A set that was told to shrink may not have done so: what it has beyond its size does not count.
  const left = sum(olds, ({ wanted, available }) => Math.min(wanted, available));
  let spare = left + Math.min(fresh.available, fresh.wanted) - minAvailable;
  for (const [i, size] of sizes.entries()) {
    const drop = Math.max(0, Math.min(spare, size, budget));
    sizes[i] = size - drop;
    spare -= drop;
    budget -= drop;
  }
  return sizes;
}

/** A ReplicaSet in the midst of an update whose Deployment gets another size. */
export interface Share {
  readonly wanted: number;
  /** Pods of the whole Deployment, surge included, when the set got its size; undefined: not known. */
  readonly total: number | undefined;
}

/**
 * Shares a change of size among sets, oldest first, in proportion to what they have; what rounding leaves over
 * goes to the largest (upstream `sync.go:scale`, `deployment_util.go:GetReplicaSetProportion`).
 * @param before Pods of the whole Deployment by its status, for sets that do not know their total.
 */
export function scaleProportionally(
  { replicas, maxSurge }: Pace,
  shares: readonly Share[],
  before: number,
): readonly number[] {
  const sizes = shares.map(({ wanted }) => wanted);
  const allowed = replicas > 0 ? replicas + maxSurge : 0;
  const change = allowed - sizes.reduce((a, b) => a + b, 0);
  if (change === 0) return sizes;
  // Of sets of one size the newer ones grow first, and the older ones shrink first.
  const order = shares
    .map((_, i) => i)
    .toSorted((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || (change > 0 ? b - a : a - b));
  let rest = change;
  for (const i of order) {
    const { wanted, total } = shares[i] ?? { wanted: 0, total: undefined };
    const base = total || before;
    if (wanted === 0 || base === 0) continue;
    const own =
      replicas === 0 ? -wanted : Math.round((wanted * (replicas + maxSurge)) / base) - wanted;
    const part = change > 0 ? Math.max(0, Math.min(own, rest)) : Math.min(0, Math.max(own, rest));
    sizes[i] = Math.max(0, wanted + part);
    rest -= part;
  }
  const [largest] = order;
  if (largest !== undefined) sizes[largest] = Math.max(0, (sizes[largest] ?? 0) + rest);
  return sizes;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
