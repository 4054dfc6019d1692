import type { Column, KindDefinition } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { column } from "./workload.columns.ts";

/** What ReplicaSets and ReplicationControllers have in common: so many Pods of one template. */
interface Replicas extends KubernetesObject {
  readonly spec: { readonly replicas?: number | undefined };
  readonly status?:
    | { readonly replicas?: number | undefined; readonly readyReplicas?: number | undefined }
    | undefined;
}

/** What their status counts. */
export const REPLICA_COUNTS = [
  "replicas",
  "fullyLabeledReplicas",
  "readyReplicas",
  "availableReplicas",
  "observedGeneration",
] as const;

/** Their columns between name and age. */
export function replicaColumns<T extends Replicas>(): readonly Column<T>[] {
  return [
    column("Desired", "Pods wanted.", ({ spec }) => spec.replicas ?? 1),
    column("Current", "Pods there are.", ({ status }) => status?.replicas ?? 0),
    column("Ready", "Pods that are ready.", ({ status }) => status?.readyReplicas ?? 0),
  ];
}

/** What field selectors can ask of them besides names. */
export const REPLICAS_FIELD = {
  path: "status.replicas",
  value: ({ status }: Replicas) => String(status?.replicas ?? 0),
} satisfies KindDefinition<Replicas>["selectableFields"][number];
