import { column } from "../apps/workload.columns.ts";
import { WORKLOAD_STRATEGY } from "../apps/workload.strategy.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid, notSupported } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateLabelSelector } from "../machinery/label-selector.validation.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { podDisruptionBudget } from "./poddisruptionbudget.ts";
import type { PodDisruptionBudget } from "./poddisruptionbudget.ts";

const EVICTION_POLICIES: readonly string[] = ["AlwaysAllow", "IfHealthyBudget"];

/** A number that is not negative, or a share from 0% to 100% (upstream `ValidatePodDisruptionBudgetSpec`). */
function validateAmount(value: string | number | undefined, path: string): readonly FieldError[] {
  if (value === undefined) return [];
  if (typeof value === "number") return validateNonNegative(value, path);
  if (!/^[0-9]+%$/.test(value)) {
    const text =
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    return [invalid(path, value, text)];
  }
  return Number(value.slice(0, -1)) > 100
    ? [invalid(path, value, "must not be greater than 100%")]
    : [];
}

function validate({ spec }: PodDisruptionBudget): readonly FieldError[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec;
  const isBoth = minAvailable !== undefined && maxUnavailable !== undefined;
  return [
    ...(isBoth
      ? [invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")]
      : []),
    ...validateAmount(minAvailable, "spec.minAvailable"),
    ...validateAmount(maxUnavailable, "spec.maxUnavailable"),
    ...(selector === undefined ? [] : validateLabelSelector(selector, "spec.selector")),
    ...(policy === undefined || EVICTION_POLICIES.includes(policy)
      ? []
      : [notSupported("spec.unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES)]),
  ];
}

const text = (value: string | number | undefined): string => String(value ?? "N/A");

export const podDisruptionBudgetKind: KindDefinition<PodDisruptionBudget> = {
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  singular: "poddisruptionbudget",
  shortNames: ["pdb"],
  categories: [],
  namespaced: true,
  schema: podDisruptionBudget,
  columns: [
    NAME_COLUMN,
    column("Min Available", "Pods that stay.", ({ spec }) => text(spec.minAvailable), "string"),
    column(
      "Max Unavailable",
      "Pods that may be missing.",
      ({ spec }) => text(spec.maxUnavailable),
      "string",
    ),
    column(
      "Allowed Disruptions",
      "Pods that may be evicted now.",
      ({ status }) => status?.disruptionsAllowed ?? 0,
    ),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    unconditionalUpdate: false,
    defaults: (object) => withZeroValues(podDisruptionBudget, object),
    validateCreate: validate,
    validateUpdate: validate,
    validateStatusUpdate: ({ status }) =>
      (["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] as const).flatMap(
        (name) => validateNonNegative(status?.[name], `status.${name}`),
      ),
  },
};
