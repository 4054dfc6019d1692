import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  int64,
  list,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectReference } from "../v1/reference.ts";
import { jobSpec } from "./job.ts";

const BATCH = "io.k8s.api.batch.v1";

const jobTemplateSpec = message(`${BATCH}.JobTemplateSpec`, "What each Job is made from.", {
  metadata: field(1, objectMeta, { description: "Labels and annotations of the Jobs." }),
  spec: present(2, jobSpec, { description: "What each Job should be." }),
});

const cronJobSpec = message(`${BATCH}.CronJobSpec`, "When to run which Jobs.", {
  schedule: present(1, string, { required: true, description: "As in cron(5)." }),
  timeZone: field(8, string, {
    pointer: true,
    description: "Of the schedule, e.g. Europe/Berlin.",
  }),
  startingDeadlineSeconds: field(2, int64, {
    pointer: true,
    description: "A Job that is later than that is left out.",
  }),
  concurrencyPolicy: field(3, string, { description: "Allow, Forbid or Replace." }),
  suspend: field(4, boolean, { pointer: true }),
  jobTemplate: present(5, jobTemplateSpec, { required: true }),
  successfulJobsHistoryLimit: field(6, int32, { pointer: true }),
  failedJobsHistoryLimit: field(7, int32, { pointer: true }),
});

const cronJobStatus = message(`${BATCH}.CronJobStatus`, "What a CronJob has done.", {
  active: field(1, list(objectReference)),
  lastScheduleTime: field(4, time),
  lastSuccessfulTime: field(5, time),
});
export interface CronJobStatus extends ValueOf<typeof cronJobStatus> {}

export const cronJob = message(`${BATCH}.CronJob`, "Runs Jobs at given times.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, cronJobSpec, { description: "What should be." }),
  status: field(3, cronJobStatus, { description: "What is." }),
});
export interface CronJob extends ValueOf<typeof cronJob> {}
