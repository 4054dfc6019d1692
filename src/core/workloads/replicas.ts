import type { Pod } from "../../api/v1/pod.ts";
import type { ReplicaSetStatus } from "../../api/apps/replicaset.ts";
import { matchesLabelMap } from "../../api/machinery/label-selector.ts";
import { formatTimeMs } from "../../api/machinery/time.ts";
import { countPods, inOrderOfDeletion, isActive } from "./pods.ts";

export interface ReplicasObserved {
  readonly wanted: number;
  readonly minReadySeconds: number;
  readonly templateLabels: Readonly<Record<string, string>>;
  /** The set is being deleted: nothing is made or unmade for it. */
  readonly isDeleted: boolean;
  readonly generation: number | undefined;
  /** Its Pods, the ended ones too. */
  readonly pods: readonly Pod[];
  /** Pods of all sets of the same owner, its own among them; asked only when some must go. */
  readonly related?: (() => readonly Pod[]) | undefined;
  readonly oldStatus: ReplicaSetStatus | undefined;
  readonly nowMs: number;
}

export interface ReplicasPlan {
  readonly create: number;
  readonly delete: readonly Pod[];
  /** Of what was observed, before creating and deleting. */
  readonly status: ReplicaSetStatus;
  /** When a Pod becomes available by the passing of time alone. */
  readonly againAfterMs: number | undefined;
}

/** Pods made or deleted at one go, as upstream: it bounds what one set costs the others. */
const BURST = 500;

/** What brings a ReplicaSet or ReplicationController to its size. */
export function planReplicas(observed: ReplicasObserved): ReplicasPlan {
  const { wanted, pods, minReadySeconds, nowMs, oldStatus, generation } = observed;
  const active = pods.filter(isActive);
  const difference = observed.isDeleted ? 0 : wanted - active.length;
  const counts = countPods(active, minReadySeconds, nowMs);
  const labeled = active.filter((pod) =>
    matchesLabelMap(observed.templateLabels, pod.metadata.labels),
  );
  return {
    create: Math.min(BURST, Math.max(0, difference)),
    delete:
      difference >= 0
        ? []
        : inOrderOfDeletion(active, nowMs, observed.related?.()).slice(
            0,
            Math.min(BURST, -difference),
          ),
    status: {
      ...oldStatus,
      replicas: active.length,
      fullyLabeledReplicas: labeled.length,
      readyReplicas: counts.ready,
      availableReplicas: counts.available,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    },
    againAfterMs: counts.nextAvailableMs,
  };
}

/** Why Pods could not be made or deleted. */
export interface ReplicaFailure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

/** The status with its condition `ReplicaFailure` as it should be now. */
export function withFailure(
  status: ReplicaSetStatus,
  failure: ReplicaFailure | undefined,
  nowMs: number,
): ReplicaSetStatus {
  const { conditions = [], ...rest } = status;
  const before = conditions.find(({ type }) => type === "ReplicaFailure");
  if (failure !== undefined && before !== undefined) return status;
  const others = conditions.filter((one) => one !== before);
  const lastTransitionTime = formatTimeMs(nowMs);
  const all =
    failure === undefined
      ? others
      : [...others, { type: "ReplicaFailure", status: "True", lastTransitionTime, ...failure }];
  return all.length === 0 ? rest : { ...rest, conditions: all };
}
