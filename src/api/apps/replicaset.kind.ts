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
import { REPLICA_COUNTS, replicaColumns, REPLICAS_FIELD } from "./replicas.ts";
import { containerColumns, selectorColumn } from "./workload.columns.ts";
import { REPLICAS_SCALE, WORKLOAD_STRATEGY } from "./workload.strategy.ts";
import { validateCounts, withSameSelector } from "./workload.validation.ts";

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
  scale: REPLICAS_SCALE,
  schema: replicaSet,
  columns: [
    NAME_COLUMN,
    ...replicaColumns<ReplicaSet>(),
    AGE_COLUMN,
    ...containerColumns<ReplicaSet>(({ spec }) => spec.template),
    selectorColumn<ReplicaSet>(({ spec }) => spec.selector),
  ],
  selectableFields: [REPLICAS_FIELD],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate: withSameSelector(validate),
    validateStatusUpdate: ({ status }) => validateCounts(status, REPLICA_COUNTS),
  },
};
