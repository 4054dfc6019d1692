import { column, containerColumns, selectorColumn } from "../apps/workload.columns.ts";
import { WORKLOAD_STRATEGY, withoutStatus } from "../apps/workload.strategy.ts";
import { validateImmutable } from "../apps/workload.validation.ts";
import { formatAge } from "../machinery/age.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { forbidden, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { Column, KindDefinition } from "../machinery/kind.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { parseTimestamp } from "../machinery/time.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import {
  defaultPodTemplate,
  validateOwnSelector,
  validatePodTemplate,
} from "../v1/pod-template.rules.ts";
import { job } from "./job.ts";
import type { Job } from "./job.ts";

const CONTROLLER_UID = "batch.kubernetes.io/controller-uid";
/** The names of these labels before they had a prefix; both are still set. */
const LEGACY_CONTROLLER_UID = "controller-uid";

function defaults(object: Job): Job {
  const filled = withZeroValues(job, object);
  const { spec, metadata } = filled;
  const isAlone = spec.completions === undefined && spec.parallelism === undefined;
  const labels = spec.template.metadata?.labels;
  const takesLabels = labels !== undefined && Object.keys(metadata.labels ?? {}).length === 0;
  return {
    ...filled,
    metadata: takesLabels ? { ...metadata, labels } : metadata,
    spec: {
      ...spec,
      template: defaultPodTemplate(spec.template),
      ...(isAlone ? { completions: 1 } : {}),
      parallelism: spec.parallelism ?? 1,
      backoffLimit:
        spec.backoffLimit ?? (spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1),
      completionMode: spec.completionMode ?? "NonIndexed",
      suspend: spec.suspend ?? false,
      manualSelector: spec.manualSelector ?? false,
      podReplacementPolicy:
        spec.podReplacementPolicy ??
        (spec.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed"),
    },
  };
}

/** Each Job gets a selector of its own, so that no two count the same Pods (upstream `generateSelector`). */
function prepareForCreate(object: Job): Job {
  const created = withoutStatus(object);
  const { spec, metadata } = created;
  if (spec.manualSelector === true) return created;
  const uid = metadata.uid ?? "";
  const labels = {
    ...spec.template.metadata?.labels,
    [CONTROLLER_UID]: uid,
    [LEGACY_CONTROLLER_UID]: uid,
    "batch.kubernetes.io/job-name": metadata.name,
    "job-name": metadata.name,
  };
  return {
    ...created,
    spec: {
      ...spec,
      selector: { matchLabels: { ...spec.selector?.matchLabels, [CONTROLLER_UID]: uid } },
      // The name is not the template's own: see defaultPodTemplate.
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } as never },
    },
  };
}

/** What the Job controller does not act on is refused, rather than done otherwise than asked. */
const REFUSED = [
  "podFailurePolicy",
  "successPolicy",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;

export function unsupportedJobFields(spec: Job["spec"], path: string): readonly FieldError[] {
  return REFUSED.filter((name) => spec[name] !== undefined).map((name) =>
    forbidden(`${path}.${name}`, "is not supported by this server"),
  );
}

function validate({ spec }: Job): readonly FieldError[] {
  const isIndexed = spec.completionMode === "Indexed";
  return [
    ...validateNonNegative(spec.parallelism, "spec.parallelism"),
    ...validateNonNegative(spec.completions, "spec.completions"),
    ...validateNonNegative(spec.activeDeadlineSeconds, "spec.activeDeadlineSeconds"),
    ...validateNonNegative(spec.backoffLimit, "spec.backoffLimit"),
    ...validateNonNegative(spec.ttlSecondsAfterFinished, "spec.ttlSecondsAfterFinished"),
    ...(isIndexed && spec.completions === undefined
      ? [required("spec.completions", "when completion mode is Indexed")]
      : []),
    ...unsupportedJobFields(spec, "spec"),
    ...validateOwnSelector(spec.selector, spec.template, "job"),
    ...validatePodTemplate(spec.template, "spec.template", ["OnFailure", "Never"]),
  ];
}

function conditionOf({ status }: Job, type: string): boolean {
  return status?.conditions?.some((one) => one.type === type && one.status === "True") === true;
}

function statusCell(object: Job): string {
  if (conditionOf(object, "Complete")) return "Complete";
  if (conditionOf(object, "Failed")) return "Failed";
  if (object.metadata.deletionTimestamp !== undefined) return "Terminating";
  if (conditionOf(object, "Suspended")) return "Suspended";
  if (conditionOf(object, "FailureTarget")) return "FailureTarget";
  if (conditionOf(object, "SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

const DURATION: Column<Job> = {
  name: "Duration",
  type: "string",
  description: "From start to completion.",
  priority: 0,
  cell: ({ status }, nowMs) => {
    const seconds = (time: string | undefined): number | undefined =>
      time === undefined ? undefined : parseTimestamp(time)?.seconds;
    const from = seconds(status?.startTime);
    const until = seconds(status?.completionTime);
    if (from === undefined) return "";
    return formatAge(until === undefined ? nowMs - from * 1000 : (until - from) * 1000);
  },
};

export const jobKind: KindDefinition<Job> = {
  group: "batch",
  version: "v1",
  kind: "Job",
  plural: "jobs",
  singular: "job",
  shortNames: [],
  categories: ["all"],
  namespaced: true,
  schema: job,
  columns: [
    NAME_COLUMN,
    column("Status", "What the Job does.", statusCell, "string"),
    column(
      "Completions",
      "Pods that succeeded, of those wanted.",
      ({ spec, status }) => {
        const succeeded = String(status?.succeeded ?? 0);
        if (spec.completions !== undefined) return `${succeeded}/${String(spec.completions)}`;
        const parallelism = spec.parallelism ?? 0;
        return parallelism > 1 ? `${succeeded}/1 of ${String(parallelism)}` : `${succeeded}/1`;
      },
      "string",
    ),
    DURATION,
    AGE_COLUMN,
    ...containerColumns<Job>(({ spec }) => spec.template),
    selectorColumn<Job>(({ spec }) => spec.selector),
  ],
  selectableFields: [
    { path: "status.successful", value: ({ status }) => String(status?.succeeded ?? 0) },
  ],
  strategy: {
    ...WORKLOAD_STRATEGY,
    orphansByDefault: true,
    defaults,
    prepareForCreate,
    validateCreate: validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...(object.spec.completionMode === "Indexed"
        ? []
        : validateImmutable(object.spec.completions, old.spec.completions, "spec.completions")),
      ...validateImmutable(object.spec.selector, old.spec.selector, "spec.selector"),
      ...(old.spec.suspend === true
        ? []
        : validateImmutable(object.spec.template, old.spec.template, "spec.template")),
      ...validateImmutable(
        object.spec.completionMode,
        old.spec.completionMode,
        "spec.completionMode",
      ),
    ],
    validateStatusUpdate: () => [],
  },
};
