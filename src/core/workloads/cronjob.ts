import { formatLocal, nextDue } from "../../api/batch/cron-schedule.ts";
import type { CronSchedule, OffsetAt } from "../../api/batch/cron-schedule.ts";
import type { CronJob, CronJobStatus } from "../../api/batch/cronjob.ts";
import type { Job } from "../../api/batch/job.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import { formatTimeMs } from "../../api/machinery/time.ts";
import { controllerReference, msOf } from "./pods.ts";

export interface CronJobObserved {
  readonly cronJob: CronJob;
  readonly schedule: CronSchedule;
  readonly offsetAt: OffsetAt;
  /** All that the CronJob controls. */
  readonly jobs: readonly Job[];
  readonly nowMs: number;
}

export interface CronJobNews {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** What to do, in this order. */
export interface CronJobPlan {
  readonly news: readonly CronJobNews[];
  /** Jobs that give way to the next one. */
  readonly replace: readonly Job[];
  /** The Job that is due, with what of the status it changes once it is made; see {@link started}. */
  readonly start: { readonly draft: Draft<Job>; readonly dueMs: number } | undefined;
  /** Ended Jobs beyond those that are kept. */
  readonly discard: readonly Job[];
  /** Before the start. */
  readonly status: CronJobStatus;
  readonly againAfterMs: number | undefined;
}

const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";
const MINUTE_MS = 60_000;

type ActiveRef = NonNullable<CronJobStatus["active"]>[number];

/**
 * Decides on the Jobs of a CronJob (upstream `cronjob_controllerv2.go:syncCronJob`): of times that were missed only
 * the last one is made up for.
 */
export function planCronJob(observed: CronJobObserved): CronJobPlan {
  const { cronJob, schedule, offsetAt, jobs, nowMs } = observed;
  const { spec, metadata } = cronJob;
  const { status, news } = observedStatus(cronJob, jobs);
  const idle: CronJobPlan = {
    news,
    replace: [],
    start: undefined,
    discard: metadata.deletionTimestamp === undefined ? outlived(cronJob, jobs) : [],
    status,
    againAfterMs: undefined,
  };
  if (metadata.deletionTimestamp !== undefined || spec.suspend === true) return idle;
  const nextMs = nextDue(schedule, nowMs, offsetAt);
  const due = lastDue(observed);
  const waiting = {
    ...idle,
    news: due?.isOneOfMany === true ? [...news, TOO_MANY_MISSED] : news,
    againAfterMs: nextMs === undefined ? undefined : nextMs - nowMs,
  };
  if (due === undefined) return waiting;
  const { dueMs } = due;
  const tell = (type: CronJobNews["type"], reason: string, message: string): CronJobPlan => ({
    ...waiting,
    news: [...waiting.news, { type, reason, message }],
  });
  const { startingDeadlineSeconds: deadline } = spec;
  if (deadline !== undefined && dueMs + deadline * 1000 < nowMs) {
    const text = `Missed scheduled time to start a job: ${formatLocal(dueMs, offsetAt)}`;
    return tell("Warning", "MissSchedule", text);
  }
  const draft = draftOf(cronJob, dueMs, offsetAt);
  const isMade = jobs.some((job) => job.metadata.name === draft.metadata.name);
  if (isMade || msOf(status.lastScheduleTime) === dueMs) return waiting;
  const running = jobs.filter((job) => !isFinished(job));
  if (spec.concurrencyPolicy === "Forbid" && running.length > 0) {
    const text =
      "Not starting job because prior execution is running and concurrency policy is Forbid";
    return tell("Normal", "JobAlreadyActive", text);
  }
  const replace = spec.concurrencyPolicy === "Replace" ? running : [];
  const gone = new Set(replace.map((job) => job.metadata.uid));
  const active = (status.active ?? []).filter(({ uid }) => !gone.has(uid));
  return { ...waiting, replace, start: { draft, dueMs }, status: { ...status, active } };
}

/** The status once the Job that was due is made. */
export function started(status: CronJobStatus, made: Job, dueMs: number): CronJobStatus {
  return {
    ...status,
    active: [...(status.active ?? []), referenceOf(made)],
    lastScheduleTime: formatTimeMs(dueMs),
  };
}

function observedStatus(
  { status: old = {} }: CronJob,
  jobs: readonly Job[],
): { readonly status: CronJobStatus; readonly news: readonly CronJobNews[] } {
  const news: CronJobNews[] = [];
  const active: ActiveRef[] = [];
  const known = new Map(jobs.map((job) => [job.metadata.uid, job]));
  for (const ref of old.active ?? []) {
    const job = known.get(ref.uid);
    if (job === undefined) {
      const message = `Active job went missing: ${ref.name ?? ""}`;
      news.push({ type: "Normal", reason: "MissingJob", message });
    } else if (isFinished(job)) {
      const message = `Saw completed job: ${ref.name ?? ""}, condition: ${endOf(job) ?? ""}`;
      news.push({ type: "Normal", reason: "SawCompletedJob", message });
    } else active.push(ref);
  }
  const listed = new Set(active.map(({ uid }) => uid));
  for (const job of jobs) {
    if (!isFinished(job) && !listed.has(job.metadata.uid)) active.push(referenceOf(job));
  }
  const successes = jobs.flatMap((job) =>
    endOf(job) === "Complete" ? (msOf(job.status?.completionTime) ?? []) : [],
  );
  const lastMs = Math.max(msOf(old.lastSuccessfulTime) ?? -Infinity, ...successes);
  const status = {
    ...old,
    active,
    ...(lastMs === -Infinity ? {} : { lastSuccessfulTime: formatTimeMs(lastMs) }),
  };
  return { status, news };
}

/** So many times may be missed before that is told (upstream `mostRecentScheduleTime`). */
const MANY_MISSED = 100;
const TOO_MANY_MISSED: CronJobNews = {
  type: "Warning",
  reason: "TooManyMissedTimes",
  message:
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
};

interface Due {
  readonly dueMs: number;
  /** More than a hundred are due. */
  readonly isOneOfMany: boolean;
}

/** The last time up to now at which a Job was due and was not made; undefined when there is none. */
function lastDue({ cronJob, schedule, offsetAt, nowMs }: CronJobObserved): Due | undefined {
  const { metadata, spec, status } = cronJob;
  const seenMs = msOf(status?.lastScheduleTime) ?? msOf(metadata.creationTimestamp) ?? nowMs;
  const { startingDeadlineSeconds: deadline } = spec;
  const sinceMs = Math.max(seenMs, deadline === undefined ? seenMs : nowMs - deadline * 1000);
  let missed = 0;
  let missedMs = nextDue(schedule, sinceMs, offsetAt);
  while (missedMs !== undefined && missedMs <= nowMs && missed <= MANY_MISSED) {
    missed++;
    missedMs = nextDue(schedule, missedMs, offsetAt);
  }
  if (missed === 0) return undefined;
  const isOneOfMany = missed > MANY_MISSED;
  // Looks back ever further, so that of a year of minutes only the last ones are gone through.
  for (const windowMs of WINDOWS_MS) {
    let found: number | undefined;
    let next = nextDue(schedule, Math.max(sinceMs, nowMs - windowMs), offsetAt);
    while (next !== undefined && next <= nowMs) {
      found = next;
      next = nextDue(schedule, next, offsetAt);
    }
    if (found !== undefined) return { dueMs: found, isOneOfMany };
    if (nowMs - windowMs <= sinceMs) return undefined;
  }
  return undefined;
}

const WINDOWS_MS = [3_600_000, 86_400_000, 32 * 86_400_000, 366 * 86_400_000, Infinity];

function draftOf(cronJob: CronJob, dueMs: number, offsetAt: OffsetAt): Draft<Job> {
  const { metadata, spec } = cronJob;
  const { metadata: template, spec: jobSpec } = spec.jobTemplate;
  return {
    metadata: {
      name: `${metadata.name}-${String(Math.floor(dueMs / MINUTE_MS))}`,
      namespace: metadata.namespace,
      labels: { ...template?.labels },
      annotations: { ...template?.annotations, [SCHEDULED_AT]: formatLocal(dueMs, offsetAt) },
      ownerReferences: [controllerReference(cronJob)],
    },
    spec: jobSpec,
  };
}

/** Ended Jobs, the oldest first, beyond those to be kept of each outcome. */
function outlived({ spec }: CronJob, jobs: readonly Job[]): readonly Job[] {
  const startOf = (job: Job): number =>
    msOf(job.status?.startTime) ?? msOf(job.metadata.creationTimestamp) ?? 0;
  const beyond = (end: "Complete" | "Failed", kept: number | undefined): readonly Job[] => {
    if (kept === undefined) return [];
    const ended = jobs
      .filter((job) => endOf(job) === end && job.metadata.deletionTimestamp === undefined)
      .toSorted((a, b) => startOf(a) - startOf(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    return ended.slice(0, Math.max(0, ended.length - kept));
  };
  return [
    ...beyond("Complete", spec.successfulJobsHistoryLimit),
    ...beyond("Failed", spec.failedJobsHistoryLimit),
  ];
}

function endOf({ status }: Job): "Complete" | "Failed" | undefined {
  const said = (type: string): boolean =>
    status?.conditions?.some((one) => one.type === type && one.status === "True") === true;
  if (said("Complete")) return "Complete";
  return said("Failed") ? "Failed" : undefined;
}

function isFinished(job: Job): boolean {
  return endOf(job) !== undefined;
}

function referenceOf({ metadata }: Job): ActiveRef {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { kind: "Job", apiVersion: "batch/v1", name, namespace, uid, resourceVersion };
}
