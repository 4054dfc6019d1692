import { REPLICA_COUNTS, replicaColumns, REPLICAS_FIELD } from "../apps/replicas.ts";
import { containerColumns, selectorColumn } from "../apps/workload.columns.ts";
import { REPLICAS_SCALE, WORKLOAD_STRATEGY } from "../apps/workload.strategy.ts";
import { validateCounts } from "../apps/workload.validation.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { matchesLabelMap } from "../machinery/label-selector.ts";
import { validateLabels, validateNonNegative } from "../machinery/metadata.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { defaultPodTemplate, validatePodTemplate } from "./pod-template.rules.ts";
import { replicationController } from "./replicationcontroller.ts";
import type { ReplicationController } from "./replicationcontroller.ts";

/** Labels and selector come from the template where they are missing. */
function defaults(object: ReplicationController): ReplicationController {
  const filled = withZeroValues(replicationController, object);
  const { spec, metadata } = filled;
  const labels = spec.template?.metadata?.labels;
  const isEmpty = (map: object | undefined): boolean => Object.keys(map ?? {}).length === 0;
  return {
    ...filled,
    metadata: labels !== undefined && isEmpty(metadata.labels) ? { ...metadata, labels } : metadata,
    spec: {
      ...spec,
      ...(labels !== undefined && isEmpty(spec.selector) ? { selector: labels } : {}),
      ...(spec.template === undefined ? {} : { template: defaultPodTemplate(spec.template) }),
      replicas: spec.replicas ?? 1,
    },
  };
}

function validate({ spec }: ReplicationController): readonly FieldError[] {
  const { selector = {}, template } = spec;
  const isEmpty = Object.keys(selector).length === 0;
  const errors: FieldError[] = [
    ...validateNonNegative(spec.minReadySeconds, "spec.minReadySeconds"),
    ...(isEmpty ? [required("spec.selector")] : validateLabels(selector, "spec.selector")),
    ...validateNonNegative(spec.replicas, "spec.replicas"),
  ];
  if (template === undefined) return [...errors, required("spec.template")];
  const labels = template.metadata?.labels ?? {};
  if (!isEmpty && !matchesLabelMap(selector, labels)) {
    const detail = "`selector` does not match template `labels`";
    errors.push(invalid("spec.template.metadata.labels", labels, detail));
  }
  return [...errors, ...validatePodTemplate(template, "spec.template", ["Always"])];
}

export const replicationControllerKind: KindDefinition<ReplicationController> = {
  group: "",
  version: "v1",
  kind: "ReplicationController",
  plural: "replicationcontrollers",
  singular: "replicationcontroller",
  shortNames: ["rc"],
  categories: ["all"],
  namespaced: true,
  scale: REPLICAS_SCALE,
  schema: replicationController,
  columns: [
    NAME_COLUMN,
    ...replicaColumns<ReplicationController>(),
    AGE_COLUMN,
    ...containerColumns<ReplicationController>(({ spec }) => spec.template),
    selectorColumn<ReplicationController>(({ spec }) => ({ matchLabels: spec.selector ?? {} })),
  ],
  selectableFields: [REPLICAS_FIELD],
  strategy: {
    ...WORKLOAD_STRATEGY,
    orphansByDefault: true,
    defaults,
    validateCreate: validate,
    validateUpdate: validate,
    validateStatusUpdate: ({ status }) => validateCounts(status, REPLICA_COUNTS),
  },
};
