import { replicationControllerKind } from "../api/v1/replicationcontroller.kind.ts";
import { reconcileReplicas } from "./replicaset.ts";
import { startPodWorkload } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

/** Keeps ReplicationControllers at their size. */
export function startReplicationControllerController(deps: WorkloadDeps): AsyncDisposable {
  return startPodWorkload(deps, replicationControllerKind, {
    reconcile: async (controller, work) => {
      const { spec, status } = controller;
      if (spec.template === undefined) return { kind: "done" };
      return reconcileReplicas(controller, work, {
        replicas: spec.replicas ?? 1,
        minReadySeconds: spec.minReadySeconds ?? 0,
        selector: { matchLabels: spec.selector ?? {} },
        template: spec.template,
        status,
      });
    },
  });
}
