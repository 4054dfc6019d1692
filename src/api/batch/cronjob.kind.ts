import { column, containerColumns, selectorColumn } from "../apps/workload.columns.ts";
import { WORKLOAD_STRATEGY } from "../apps/workload.strategy.ts";
import { AGE_COLUMN, NAME_COLUMN, formatSince } from "../machinery/cells.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { validateOneOf } from "../machinery/value.validation.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { defaultPodTemplate, validatePodTemplate } from "../v1/pod-template.rules.ts";
import { parseCron } from "./cron-schedule.ts";
import { cronJob } from "./cronjob.ts";
import type { CronJob } from "./cronjob.ts";
import { unsupportedJobFields } from "./job.kind.ts";

const POLICIES = ["Allow", "Forbid", "Replace"] as const;
/** Jobs are named by the CronJob and the minute: "-" and ten digits. */
const MAX_NAME = 52;

function defaults(object: CronJob): CronJob {
  const filled = withZeroValues(cronJob, object);
  const { spec } = filled;
  const { jobTemplate } = spec;
  return {
    ...filled,
    spec: {
      ...spec,
      concurrencyPolicy: spec.concurrencyPolicy || "Allow",
      suspend: spec.suspend ?? false,
      successfulJobsHistoryLimit: spec.successfulJobsHistoryLimit ?? 3,
      failedJobsHistoryLimit: spec.failedJobsHistoryLimit ?? 1,
      jobTemplate: {
        ...jobTemplate,
        spec: { ...jobTemplate.spec, template: defaultPodTemplate(jobTemplate.spec.template) },
      },
    },
  };
}

/** Upstream `validateScheduleFormat`. */
function validateSchedule(schedule: string, timeZone: string | undefined): readonly FieldError[] {
  const path = "spec.schedule";
  if (schedule === "") return [required(path)];
  if (schedule.includes("TZ")) {
    const text =
      timeZone === undefined
        ? "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        : "cannot use both timeZone field and TZ or CRON_TZ in schedule";
    return [invalid(path, schedule, text)];
  }
  const parsed = parseCron(schedule);
  return parsed.kind === "malformed" ? [invalid(path, schedule, parsed.message)] : [];
}

function validateTimeZone(timeZone: string | undefined): readonly FieldError[] {
  const path = "spec.timeZone";
  if (timeZone === undefined) return [];
  if (timeZone === "") return [invalid(path, timeZone, "timeZone must be nil or non-empty string")];
  if (timeZone.toLowerCase() === "local") {
    const text =
      "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    return [invalid(path, timeZone, text)];
  }
  return isTimeZone(timeZone) ? [] : [invalid(path, timeZone, `unknown time zone ${timeZone}`)];
}

/** Offsets such as `+02:00` are zones to this language, and not to Kubernetes. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function validate({ metadata, spec }: CronJob): readonly FieldError[] {
  const { jobTemplate, schedule, timeZone } = spec;
  const at = "spec.jobTemplate.spec";
  return [
    ...(metadata.name.length > MAX_NAME
      ? [invalid("metadata.name", metadata.name, "must be no more than 52 characters")]
      : []),
    ...validateSchedule(schedule, timeZone),
    ...validateNonNegative(spec.startingDeadlineSeconds, "spec.startingDeadlineSeconds"),
    ...validateTimeZone(timeZone),
    ...validateOneOf(spec.concurrencyPolicy, POLICIES, "spec.concurrencyPolicy"),
    ...validateNonNegative(jobTemplate.spec.parallelism, `${at}.parallelism`),
    ...validateNonNegative(jobTemplate.spec.completions, `${at}.completions`),
    ...validateNonNegative(jobTemplate.spec.backoffLimit, `${at}.backoffLimit`),
    ...unsupportedJobFields(jobTemplate.spec, at),
    ...validatePodTemplate(jobTemplate.spec.template, `${at}.template`, ["OnFailure", "Never"]),
    ...validateNonNegative(spec.successfulJobsHistoryLimit, "spec.successfulJobsHistoryLimit"),
    ...validateNonNegative(spec.failedJobsHistoryLimit, "spec.failedJobsHistoryLimit"),
  ];
}

export const cronJobKind: KindDefinition<CronJob> = {
  group: "batch",
  version: "v1",
  kind: "CronJob",
  plural: "cronjobs",
  singular: "cronjob",
  shortNames: ["cj"],
  categories: ["all"],
  namespaced: true,
  schema: cronJob,
  columns: [
    NAME_COLUMN,
    column("Schedule", "When Jobs start.", ({ spec }) => spec.schedule, "string"),
    column("Timezone", "Of the schedule.", ({ spec }) => spec.timeZone ?? "<none>", "string"),
    column(
      "Suspend",
      "Whether no Jobs start.",
      ({ spec }) => (spec.suspend === true ? "True" : "False"),
      "string",
    ),
    column("Active", "Jobs that run.", ({ status }) => status?.active?.length ?? 0),
    {
      name: "Last Schedule",
      type: "string",
      description: "Time since the last start.",
      priority: 0,
      cell: ({ status }, nowMs) =>
        status?.lastScheduleTime === undefined
          ? "<none>"
          : formatSince(status.lastScheduleTime, nowMs),
    },
    AGE_COLUMN,
    ...containerColumns<CronJob>(({ spec }) => spec.jobTemplate.spec.template),
    selectorColumn<CronJob>(({ spec }) => spec.jobTemplate.spec.selector),
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults,
    validateCreate: validate,
    validateUpdate: validate,
    validateStatusUpdate: () => [],
  },
};
