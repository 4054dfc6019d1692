import { replicaSetKind } from "../api/apps/replicaset.kind.ts";
import type { ReplicaSet, ReplicaSetStatus } from "../api/apps/replicaset.ts";
import type { KubernetesObject, LabelSelector } from "../api/machinery/metadata.ts";
import { StatusError } from "../api/machinery/status.ts";
import type { PodTemplateSpec } from "../api/v1/pod-template.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { controllerOf } from "../core/workloads/pods.ts";
import { planReplicas, withFailure } from "../core/workloads/replicas.ts";
import { podFrom } from "../core/workloads/template.ts";
import { allOf, slowStart } from "./slow-start.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { PodWorkload, WorkloadDeps } from "./workload-loop.ts";

/** What ReplicaSets and ReplicationControllers have in common. */
export interface Replicated {
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly selector: LabelSelector;
  readonly template: PodTemplateSpec;
  readonly status: ReplicaSetStatus | undefined;
  /** Pods of all sets of the same owner. */
  readonly related?: (() => readonly Pod[]) | undefined;
}

/** Keeps ReplicaSets at their size. */
export function startReplicaSetController(deps: WorkloadDeps): AsyncDisposable {
  const sets = deps.informers.of(replicaSetKind);
  const relatedOf = (set: ReplicaSet, work: PodWorkload<ReplicaSet>): readonly Pod[] => {
    const owner = controllerOf(set)?.uid;
    const all =
      owner === undefined ? [set] : sets.list().filter((one) => controllerOf(one)?.uid === owner);
    return all.flatMap(({ metadata }) => work.pods.heldBy(metadata.uid ?? ""));
  };
  return startPodWorkload(deps, replicaSetKind, {
    reconcile: (set, work) => {
      const { spec, status } = set;
      return reconcileReplicas(set, work, {
        replicas: spec.replicas ?? 1,
        minReadySeconds: spec.minReadySeconds ?? 0,
        selector: spec.selector ?? {},
        template: spec.template,
        status,
        related: () => relatedOf(set, work),
      });
    },
  });
}

/** One look at a set: makes or deletes Pods, and says in its status what there was. */
export async function reconcileReplicas<T extends KubernetesObject>(
  set: T,
  work: PodWorkload<T>,
  given: Replicated,
): Promise<ReconcileResult> {
  const pods = await work.pods.claim(set, given.selector, work.signal);
  const plan = planReplicas({
    wanted: given.replicas,
    minReadySeconds: given.minReadySeconds,
    templateLabels: given.template.metadata?.labels ?? {},
    isDeleted: set.metadata.deletionTimestamp !== undefined,
    generation: set.metadata.generation,
    pods,
    related: given.related,
    oldStatus: given.status,
    nowMs: work.nowMs,
  });
  const drafts = Array.from({ length: plan.create }, () => podFrom(given.template, set));
  const failure = await failureOf(async () => {
    await slowStart(drafts, (draft) => work.createPod(set, draft));
    await allOf(plan.delete, (pod) => work.deletePod(set, pod));
  });
  const said =
    failure === undefined
      ? undefined
      : ({
          reason: plan.create > 0 ? "FailedCreate" : "FailedDelete",
          message: failure.message,
        } as const);
  await work.writeStatus(set, withFailure(plan.status, said, work.nowMs));
  if (failure !== undefined) throw failure;
  return again(plan.againAfterMs);
}

/** What the API refused; anything else that fails is thrown. */
async function failureOf(act: () => Promise<void>): Promise<StatusError | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
}
