import { replicaSetKind } from "../api/apps/replicaset.kind.ts";
import type { ReplicaSetStatus } from "../api/apps/replicaset.ts";
import type { KubernetesObject, LabelSelector } from "../api/machinery/metadata.ts";
import type { PodTemplateSpec } from "../api/v1/pod-template.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { planReplicas } from "../core/workloads/replicas.ts";
import { podFrom } from "../core/workloads/template.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { PodWorkload, WorkloadDeps } from "./workload-loop.ts";

/** What ReplicaSets and ReplicationControllers have in common. */
export interface Replicated {
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly selector: LabelSelector;
  readonly template: PodTemplateSpec;
  readonly status: ReplicaSetStatus | undefined;
}

/** Keeps ReplicaSets at their size. */
export function startReplicaSetController(deps: WorkloadDeps): AsyncDisposable {
  return startPodWorkload(deps, replicaSetKind, {
    reconcile: (set, work) => {
      const { spec, status } = set;
      return reconcileReplicas(set, work, {
        replicas: spec.replicas ?? 1,
        minReadySeconds: spec.minReadySeconds ?? 0,
        selector: spec.selector ?? {},
        template: spec.template,
        status,
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
    oldStatus: given.status,
    nowMs: work.nowMs,
  });
  for (let i = 0; i < plan.create; i++) {
    const pod = await work.createPod(set, podFrom(given.template, set));
    if (pod === undefined) return { kind: "done" };
  }
  for (const pod of plan.delete) await work.deletePod(set, pod);
  await work.writeStatus(set, plan.status);
  return again(plan.againAfterMs);
}
