import { deploymentKind } from "../api/apps/deployment.kind.ts";
import { replicaSetKind } from "../api/apps/replicaset.kind.ts";
import { statefulSetKind } from "../api/apps/statefulset.kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { podDisruptionBudgetKind } from "../api/policy/poddisruptionbudget.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { replicationControllerKind } from "../api/v1/replicationcontroller.kind.ts";
import type { Change } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { isInBudget, planDisruption } from "../core/workloads/disruption.ts";
import type { Scaled } from "../core/workloads/disruption.ts";
import { controllerOf } from "../core/workloads/pods.ts";
import { again, writeStatus } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

const BY_UID = "uid";
const BY_NAMESPACE = "namespace";

interface WithReplicas extends KubernetesObject {
  readonly spec: { readonly replicas?: number | undefined };
}

/** Keeps the status of PodDisruptionBudgets, by which the API server judges evictions. */
export function startDisruptionController(deps: WorkloadDeps): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const budgets = informers.of(podDisruptionBudgetKind);
  const pods = informers.of(podKind);
  const scaled = [
    informers.of(deploymentKind),
    informers.of(replicaSetKind),
    informers.of(statefulSetKind),
    informers.of(replicationControllerKind),
  ] as const;
  const byUid = ({ metadata }: KubernetesObject): readonly string[] => [metadata.uid ?? ""];
  for (const informer of scaled) informer.addIndex(BY_UID, byUid);
  const byNamespace = ({ metadata }: KubernetesObject): readonly string[] => [
    metadata.namespace ?? "",
  ];
  pods.addIndex(BY_NAMESPACE, byNamespace);
  budgets.addIndex(BY_NAMESPACE, byNamespace);

  const scaleOf = (uid: string): Scaled | undefined => {
    for (const informer of scaled) {
      const [found]: readonly WithReplicas[] = informer.byIndex(BY_UID, uid);
      if (found === undefined) continue;
      // Of a rolling update both ReplicaSets are the Deployment's.
      const above = scaleOf(controllerOf(found)?.uid ?? "");
      return above ?? { uid, replicas: found.spec.replicas ?? 1 };
    }
    return undefined;
  };

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [budgets, pods, ...scaled]) await informer.synced(signal);
    const budget = budgets.get(key);
    if (budget === undefined) return { kind: "done" };
    const namespace = budget.metadata.namespace ?? "";
    const plan = planDisruption({
      budget,
      pods: pods.byIndex(BY_NAMESPACE, namespace).filter((pod) => isInBudget(budget, pod)),
      scaleOf,
      nowMs: now(),
    });
    await writeStatus(client, podDisruptionBudgetKind, budget, plan.status, signal);
    return again(plan.againAfterMs);
  };

  const reconciler = startReconciler({ name: "disruption", reconcile, log, metrics });
  const concerned = (pod: Pod | undefined): void => {
    if (pod === undefined) return;
    for (const budget of budgets.byIndex(BY_NAMESPACE, pod.metadata.namespace ?? "")) {
      if (isInBudget(budget, pod)) reconciler.enqueue(keyOf(budget));
    }
  };
  const lookAgain = ({ before, after }: Change<KubernetesObject>): void => {
    const namespace = (after ?? before)?.metadata.namespace ?? "";
    for (const budget of budgets.byIndex(BY_NAMESPACE, namespace))
      reconciler.enqueue(keyOf(budget));
  };
  const listeners = [
    budgets.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    pods.onChange(({ before, after }) => {
      concerned(before);
      concerned(after);
    }),
    ...scaled.map((informer) => informer.onChange(lookAgain)),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
