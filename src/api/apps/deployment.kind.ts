import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
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
import { deployment } from "./deployment.ts";
import type { Deployment } from "./deployment.ts";
import { column, containerColumns, selectorColumn } from "./workload.columns.ts";
import { REPLICAS_SCALE, WORKLOAD_STRATEGY } from "./workload.strategy.ts";
import { validateCounts, validatePace, withSameSelector } from "./workload.validation.ts";

const STRATEGIES = ["Recreate", "RollingUpdate"] as const;
const COUNTS = [
  "observedGeneration",
  "replicas",
  "updatedReplicas",
  "readyReplicas",
  "availableReplicas",
  "unavailableReplicas",
];

/** Source: upstream `apis/apps/v1/defaults.go`. */
function defaults(object: Deployment): Deployment {
  const filled = withZeroValues(deployment, object);
  const { spec } = filled;
  const type = spec.strategy?.type || "RollingUpdate";
  const { rollingUpdate } = spec.strategy ?? {};
  return {
    ...filled,
    spec: {
      ...spec,
      template: defaultPodTemplate(spec.template),
      replicas: spec.replicas ?? 1,
      revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
      progressDeadlineSeconds: spec.progressDeadlineSeconds ?? 600,
      strategy:
        type === "RollingUpdate"
          ? {
              type,
              rollingUpdate: {
                maxUnavailable: rollingUpdate?.maxUnavailable ?? "25%",
                maxSurge: rollingUpdate?.maxSurge ?? "25%",
              },
            }
          : { ...spec.strategy, type },
    },
  };
}

function validate({ spec }: Deployment): readonly FieldError[] {
  const { strategy, progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  const type = strategy?.type ?? "";
  const errors: FieldError[] = [
    ...validateNonNegative(spec.replicas, "spec.replicas"),
    ...validateOwnSelector(spec.selector, spec.template, "deployment"),
    ...validatePodTemplate(spec.template, "spec.template", ["Always"]),
    ...validateNoDeadline(spec.template),
  ];
  if (type === "RollingUpdate") {
    errors.push(
      ...validatePace(strategy?.rollingUpdate, "spec.strategy.rollingUpdate", "Deployment"),
    );
  } else if (type === "Recreate") {
    if (strategy?.rollingUpdate !== undefined) {
      errors.push(
        forbidden(
          "spec.strategy.rollingUpdate",
          "may not be specified when strategy `type` is 'Recreate'",
        ),
      );
    }
  } else if (type === "") errors.push(required("spec.strategy.type"));
  else errors.push(notSupported("spec.strategy.type", type, STRATEGIES));
  errors.push(...validateNonNegative(minReadySeconds, "spec.minReadySeconds"));
  errors.push(...validateNonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit"));
  errors.push(...validateNonNegative(deadline, "spec.progressDeadlineSeconds"));
  if (deadline !== undefined && deadline <= minReadySeconds) {
    const detail = "must be greater than minReadySeconds";
    errors.push(invalid("spec.progressDeadlineSeconds", deadline, detail));
  }
  return errors;
}

export const deploymentKind: KindDefinition<Deployment> = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  namespaced: true,
  scale: REPLICAS_SCALE,
  schema: deployment,
  columns: [
    NAME_COLUMN,
    column(
      "Ready",
      "Pods that are ready, of those wanted.",
      ({ spec, status }) => `${String(status?.readyReplicas ?? 0)}/${String(spec.replicas ?? 1)}`,
      "string",
    ),
    column("Up-to-date", "Pods made from the newest template.", ({ status }) => {
      return status?.updatedReplicas ?? 0;
    }),
    column("Available", "Pods that are ready long enough.", ({ status }) => {
      return status?.availableReplicas ?? 0;
    }),
    AGE_COLUMN,
    ...containerColumns<Deployment>(({ spec }) => spec.template),
    selectorColumn<Deployment>(({ spec }) => spec.selector),
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate: withSameSelector(validate),
    validateStatusUpdate: ({ status }) => validateCounts(status, COUNTS),
  },
};
