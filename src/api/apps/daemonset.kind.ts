import { AGE_COLUMN, formatLabels, NAME_COLUMN } from "../machinery/cells.ts";
import { notSupported } from "../machinery/field-error.ts";
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
import { daemonSet } from "./daemonset.ts";
import type { DaemonSet, DaemonSetStatus } from "./daemonset.ts";
import { column, containerColumns, selectorColumn } from "./workload.columns.ts";
import { WORKLOAD_STRATEGY } from "./workload.strategy.ts";
import { validateCounts, validatePace, withSameSelector } from "./workload.validation.ts";

const UPDATES = ["RollingUpdate", "OnDelete"] as const;

function defaults(object: DaemonSet): DaemonSet {
  const filled = withZeroValues(daemonSet, object);
  const { spec } = filled;
  const { updateStrategy: given } = spec;
  const type = given?.type || "RollingUpdate";
  return {
    ...filled,
    spec: {
      ...spec,
      template: defaultPodTemplate(spec.template),
      revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
      updateStrategy:
        type === "RollingUpdate"
          ? {
              type,
              rollingUpdate: {
                maxUnavailable: given?.rollingUpdate?.maxUnavailable ?? 1,
                maxSurge: given?.rollingUpdate?.maxSurge ?? 0,
              },
            }
          : { ...given, type },
    },
  };
}

function validate({ spec }: DaemonSet): readonly FieldError[] {
  const type = spec.updateStrategy?.type ?? "";
  return [
    ...validateOwnSelector(spec.selector, spec.template, "daemonset"),
    ...validatePodTemplate(spec.template, "spec.template", ["Always"]),
    ...validateNoDeadline(spec.template, "must not be specified"),
    ...validateNonNegative(spec.minReadySeconds, "spec.minReadySeconds"),
    ...validateNonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit"),
    ...(type === "RollingUpdate"
      ? validatePace(
          spec.updateStrategy?.rollingUpdate,
          "spec.updateStrategy.rollingUpdate",
          "DaemonSet",
        )
      : []),
    ...(UPDATES.some((one) => one === type)
      ? []
      : [notSupported("spec.updateStrategy.type", type, UPDATES)]),
  ];
}

const count = (name: string, key: keyof DaemonSetStatus, description: string) =>
  column<DaemonSet>(name, description, ({ status }) => Number(status?.[key] ?? 0));

export const daemonSetKind: KindDefinition<DaemonSet> = {
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  plural: "daemonsets",
  singular: "daemonset",
  shortNames: ["ds"],
  categories: ["all"],
  namespaced: true,
  schema: daemonSet,
  columns: [
    NAME_COLUMN,
    count("Desired", "desiredNumberScheduled", "Nodes that should have a Pod."),
    count("Current", "currentNumberScheduled", "Nodes that should have a Pod and do."),
    count("Ready", "numberReady", "Nodes whose Pod is ready."),
    count("Up-to-date", "updatedNumberScheduled", "Nodes whose Pod is of the newest template."),
    count("Available", "numberAvailable", "Nodes whose Pod is ready long enough."),
    column(
      "Node Selector",
      "Labels of the nodes.",
      ({ spec }) => formatLabels(spec.template.spec.nodeSelector),
      "string",
    ),
    AGE_COLUMN,
    ...containerColumns<DaemonSet>(({ spec }) => spec.template),
    selectorColumn<DaemonSet>(({ spec }) => spec.selector),
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate: withSameSelector(validate),
    validateStatusUpdate: ({ status }) =>
      validateCounts(status, [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
      ]),
  },
};
