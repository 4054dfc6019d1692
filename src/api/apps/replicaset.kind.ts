import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import {
  defaultPodTemplate,
  validateNoDeadline,
  validateOwnSelector,
  validatePodTemplate,
} from "../v1/pod-template.rules.ts";
import { replicaSet } from "./replicaset.ts";
import type { ReplicaSet } from "./replicaset.ts";
import { column, containerColumns, selectorColumn } from "./workload.columns.ts";
import { WORKLOAD_STRATEGY } from "./workload.strategy.ts";
import { validateCounts, validateImmutable } from "./workload.validation.ts";

/** What a status of ReplicaSets and ReplicationControllers counts. */
export const REPLICA_COUNTS = [
  "replicas",
  "fullyLabeledReplicas",
  "readyReplicas",
  "availableReplicas",
  "observedGeneration",
] as const;

function defaults(object: ReplicaSet): ReplicaSet {
  const filled = withZeroValues(replicaSet, object);
  const { spec } = filled;
  return {
    ...filled,
    spec: { ...spec, replicas: spec.replicas ?? 1, template: defaultPodTemplate(spec.template) },
  };
}

function validate({ spec }: ReplicaSet): readonly FieldError[] {
  return [
    ...validateNonNegative(spec.replicas, "spec.replicas"),
    ...validateNonNegative(spec.minReadySeconds, "spec.minReadySeconds"),
    ...validateOwnSelector(spec.selector, spec.template, "replicaset"),
    ...validatePodTemplate(spec.template, "spec.template", ["Always"]),
    ...validateNoDeadline(spec.template),
  ];
}

export const replicaSetKind: KindDefinition<ReplicaSet> = {
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  plural: "replicasets",
  singular: "replicaset",
  shortNames: ["rs"],
  categories: ["all"],
  namespaced: true,
  scale: {
    specReplicas: ["spec", "replicas"],
    statusReplicas: ["status", "replicas"],
    labelSelector: ["spec", "selector"],
  },
  schema: replicaSet,
  columns: [
    NAME_COLUMN,
    column("Desired", "Pods wanted.", ({ spec }) => spec.replicas ?? 1),
    column("Current", "Pods there are.", ({ status }) => status?.replicas ?? 0),
    column("Ready", "Pods that are ready.", ({ status }) => status?.readyReplicas ?? 0),
    AGE_COLUMN,
    ...containerColumns<ReplicaSet>(({ spec }) => spec.template),
    selectorColumn<ReplicaSet>(({ spec }) => spec.selector),
  ],
  selectableFields: [
    { path: "status.replicas", value: ({ status }) => String(status?.replicas ?? 0) },
  ],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...validateImmutable(object.spec.selector, old.spec.selector, "spec.selector"),
    ],
    validateStatusUpdate: ({ status }) => validateCounts(status, REPLICA_COUNTS),
  },
};
