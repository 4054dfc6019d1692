import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { forbidden, invalid, notSupported } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual } from "../machinery/json.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import {
  defaultPodTemplate,
  validateNoDeadline,
  validateOwnSelector,
  validatePodTemplate,
} from "../v1/pod-template.rules.ts";
import { statefulSet } from "./statefulset.ts";
import type { StatefulSet } from "./statefulset.ts";
import { column, containerColumns } from "./workload.columns.ts";
import { REPLICAS_SCALE, WORKLOAD_STRATEGY } from "./workload.strategy.ts";
import { validateCounts } from "./workload.validation.ts";

const POD_MANAGEMENT = ["OrderedReady", "Parallel"] as const;
const UPDATES = ["OnDelete", "RollingUpdate"] as const;
const COUNTS = [
  "replicas",
  "readyReplicas",
  "currentReplicas",
  "updatedReplicas",
  "availableReplicas",
  "observedGeneration",
];
/** What an update may change; all else decides about Pods that are there. */
const MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

function defaults(object: StatefulSet): StatefulSet {
  const filled = withZeroValues(statefulSet, object);
  const { spec } = filled;
  const { updateStrategy: given } = spec;
  const type = given?.type || "RollingUpdate";
  return {
    ...filled,
    spec: {
      ...spec,
      template: defaultPodTemplate(spec.template),
      replicas: spec.replicas ?? 1,
      podManagementPolicy: spec.podManagementPolicy || "OrderedReady",
      revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
      updateStrategy:
        type === "RollingUpdate"
          ? {
              type,
              rollingUpdate: {
                ...given?.rollingUpdate,
                partition: given?.rollingUpdate?.partition ?? 0,
              },
            }
          : { ...given, type },
      persistentVolumeClaimRetentionPolicy: {
        whenDeleted: spec.persistentVolumeClaimRetentionPolicy?.whenDeleted || "Retain",
        whenScaled: spec.persistentVolumeClaimRetentionPolicy?.whenScaled || "Retain",
      },
    },
  };
}

function validate(object: StatefulSet): readonly FieldError[] {
  const { spec } = object;
  const policy = spec.podManagementPolicy ?? "";
  const { type = "", rollingUpdate } = spec.updateStrategy ?? {};
  const errors: FieldError[] = [];
  if (!POD_MANAGEMENT.some((one) => one === policy)) {
    errors.push(
      invalid("spec.podManagementPolicy", policy, `must be 'OrderedReady' or 'Parallel'`),
    );
  }
  if (!UPDATES.some((one) => one === type)) {
    const detail = "must be 'RollingUpdate' or 'OnDelete'";
    errors.push(invalid("spec.updateStrategy", spec.updateStrategy, detail));
  } else if (type === "OnDelete" && rollingUpdate !== undefined) {
    errors.push(
      invalid(
        "spec.updateStrategy.rollingUpdate",
        rollingUpdate,
        "only allowed for updateStrategy 'RollingUpdate'",
      ),
    );
  }
  errors.push(
    ...validateRetention(object),
    ...validateNonNegative(rollingUpdate?.partition, "spec.updateStrategy.rollingUpdate.partition"),
    ...validateNonNegative(spec.replicas, "spec.replicas"),
    ...validateNonNegative(spec.minReadySeconds, "spec.minReadySeconds"),
    ...validateNonNegative(spec.ordinals?.start, "spec.ordinals.start"),
    ...validateOwnSelector(spec.selector, spec.template, "statefulset"),
    ...validatePodTemplate(spec.template, "spec.template", ["Always"]),
    ...validateNoDeadline(spec.template, "must not be specified"),
  );
  return errors;
}

const RETENTIONS = ["Retain", "Delete"] as const;

function validateRetention({ spec }: StatefulSet): readonly FieldError[] {
  const policy = spec.persistentVolumeClaimRetentionPolicy;
  return (["whenDeleted", "whenScaled"] as const).flatMap((name) => {
    const value = policy?.[name] ?? "Retain";
    return RETENTIONS.some((one) => one === value)
      ? []
      : [notSupported(`spec.persistentVolumeClaimRetentionPolicy.${name}`, value, RETENTIONS)];
  });
}

function validateUpdate(object: StatefulSet, old: StatefulSet): readonly FieldError[] {
  const fixed = { ...object.spec } as Record<string, unknown>; // Compared field by field only.
  const fixedOld = { ...old.spec } as Record<string, unknown>;
  for (const name of MUTABLE) {
    delete fixed[name];
    delete fixedOld[name];
  }
  const detail =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
  return [...validate(object), ...(deepEqual(fixed, fixedOld) ? [] : [forbidden("spec", detail)])];
}

export const statefulSetKind: KindDefinition<StatefulSet> = {
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  plural: "statefulsets",
  singular: "statefulset",
  shortNames: ["sts"],
  categories: ["all"],
  namespaced: true,
  scale: REPLICAS_SCALE,
  schema: statefulSet,
  columns: [
    NAME_COLUMN,
    column(
      "Ready",
      "Pods that are ready, of those wanted.",
      ({ spec, status }) => `${String(status?.readyReplicas ?? 0)}/${String(spec.replicas ?? 1)}`,
      "string",
    ),
    AGE_COLUMN,
    ...containerColumns<StatefulSet>(({ spec }) => spec.template),
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate,
    validateStatusUpdate: ({ status }) => validateCounts(status, COUNTS),
  },
};
