import { column } from "../apps/workload.columns.ts";
import { WORKLOAD_STRATEGY } from "../apps/workload.strategy.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { storedOnly } from "../machinery/stored-only.ts";
import { validateOneOf } from "../machinery/value.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { horizontalPodAutoscaler } from "./horizontalpodautoscaler.ts";
import type { HorizontalPodAutoscaler } from "./horizontalpodautoscaler.ts";

type Metric = NonNullable<HorizontalPodAutoscaler["spec"]["metrics"]>[number];

/** The source that goes with each type. */
const SOURCES = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;

/** Without metrics it is four fifths of the CPU that was asked for (upstream `v2/defaults.go`). */
const DEFAULT_METRICS: readonly Metric[] = [
  {
    type: "Resource",
    resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
  },
];

function defaults(object: HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const filled = withZeroValues(horizontalPodAutoscaler, object);
  const { spec } = filled;
  const metrics =
    spec.metrics === undefined || spec.metrics.length === 0 ? DEFAULT_METRICS : spec.metrics;
  return { ...filled, spec: { ...spec, minReplicas: spec.minReplicas ?? 1, metrics } };
}

function validateMetric(metric: Metric, path: string): readonly FieldError[] {
  const errors = validateOneOf(metric.type, Object.keys(SOURCES), `${path}.type`);
  if (errors.length > 0) return errors;
  // It is one of them, or there would be an error.
  const source = SOURCES[metric.type as keyof typeof SOURCES];
  if (metric[source] !== undefined) return [];
  return [required(`${path}.${source}`, "must populate information for the given metric source")];
}

function validate({ spec }: HorizontalPodAutoscaler): readonly FieldError[] {
  const { minReplicas = 1, maxReplicas, scaleTargetRef, metrics = [] } = spec;
  return [
    // Zero needs a gate that is off (`HPAScaleToZero`).
    ...(minReplicas < 1
      ? [invalid("spec.minReplicas", minReplicas, "must be greater than or equal to 1")]
      : []),
    ...(maxReplicas < 1
      ? [invalid("spec.maxReplicas", maxReplicas, "must be greater than 0")]
      : []),
    ...(maxReplicas < minReplicas
      ? [invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`")]
      : []),
    ...(scaleTargetRef.kind === "" ? [required("spec.scaleTargetRef.kind")] : []),
    ...(scaleTargetRef.name === "" ? [required("spec.scaleTargetRef.name")] : []),
    ...metrics.flatMap((metric, i) => validateMetric(metric, `spec.metrics[${String(i)}]`)),
  ];
}

/** `cpu: <unknown>/80%`, as kubectl shows a metric that nobody has measured. */
function targets({ spec }: HorizontalPodAutoscaler): string {
  const all = (spec.metrics ?? []).map((metric) => {
    const source = metric.containerResource ?? metric.resource;
    const target = (source ?? metric.pods ?? metric.object ?? metric.external)?.target;
    const share = target?.averageUtilization;
    const wanted =
      share === undefined
        ? String(target?.averageValue ?? target?.value ?? "<auto>")
        : `${String(share)}%`;
    const name = source === undefined ? "" : `${source.name}: `;
    return `${name}<unknown>/${wanted}`;
  });
  return all.length === 0 ? "<none>" : all.join(", ");
}

export const horizontalPodAutoscalerKind: KindDefinition<HorizontalPodAutoscaler> = {
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  singular: "horizontalpodautoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  namespaced: true,
  schema: horizontalPodAutoscaler,
  columns: [
    NAME_COLUMN,
    column(
      "Reference",
      "What is scaled.",
      ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`,
      "string",
    ),
    column("Targets", "What decides.", targets, "string"),
    column("MinPods", "The least.", ({ spec }) => String(spec.minReplicas ?? "<unset>"), "string"),
    column("MaxPods", "The most.", ({ spec }) => spec.maxReplicas),
    column("Replicas", "How many there are.", ({ status }) => status?.currentReplicas ?? 0),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    generation: "none",
    defaults,
    validateCreate: validate,
    validateUpdate: validate,
    validateStatusUpdate: () => [],
    warnings: storedOnly(
      "HorizontalPodAutoscalers",
      "no metrics are measured, so nothing is scaled",
    ),
  },
};
