import { parseCron } from "../api/batch/cron-schedule.ts";
import type { OffsetAt } from "../api/batch/cron-schedule.ts";
import { cronJobKind } from "../api/batch/cronjob.kind.ts";
import type { CronJob } from "../api/batch/cronjob.ts";
import { jobKind } from "../api/batch/job.kind.ts";
import type { Job } from "../api/batch/job.ts";
import type { Draft } from "../api/machinery/metadata.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason, StatusError } from "../api/machinery/status.ts";
import { referenceTo } from "../client/events.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { planCronJob, started } from "../core/workloads/cronjob.ts";
import { controllerOf } from "../core/workloads/pods.ts";
import { deleteThis } from "./delete-this.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { Owned } from "./owned.ts";
import { again, writeStatus } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

const CONCURRENCY = 4;

/** Makes the Jobs of CronJobs when they are due, and takes away old ones. */
export function startCronJobController(deps: WorkloadDeps): AsyncDisposable {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const cronJobs = informers.of(cronJobKind);
  const jobs = informers.of(jobKind);
  const owned = new Owned(client, cronJobKind, jobs);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [cronJobs, jobs]) await informer.synced(signal);
    const cronJob = cronJobs.get(key);
    if (cronJob === undefined) return { kind: "done" };
    const { spec, metadata } = cronJob;
    const tell = (type: "Normal" | "Warning", reason: string, text: string): void => {
      events?.record(referenceTo(cronJob), type, reason, text);
    };
    const parsed = parseCron(spec.schedule);
    if (parsed.kind === "malformed") {
      // It was checked when it was written; another server may have let it pass.
      const text = `unparseable schedule: ${JSON.stringify(spec.schedule)} : ${parsed.message}`;
      tell("Warning", "UnparseableSchedule", text);
      return { kind: "done" };
    }
    const plan = planCronJob({
      cronJob,
      schedule: parsed.schedule,
      offsetAt: zoneOffset(spec.timeZone),
      jobs: owned.heldBy(metadata.uid ?? ""),
      nowMs: now(),
    });
    for (const { type, reason, message } of plan.news) tell(type, reason, message);
    for (const job of [...plan.replace, ...plan.discard]) {
      await deleteThis(client, jobKind, job, { propagationPolicy: "Background", signal });
      tell("Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
    }
    let { status } = plan;
    if (plan.start !== undefined) {
      const { draft, dueMs } = plan.start;
      const made = await make(cronJob, draft, signal);
      if (made === undefined) return { kind: "done" };
      tell("Normal", "SuccessfulCreate", `Created job ${made.metadata.name}`);
      status = started(status, made, dueMs);
    }
    await writeStatus(client, cronJobKind, cronJob, status, signal);
    return again(plan.againAfterMs);
  };

  /** @returns undefined when the namespace is going. */
  const make = async (
    cronJob: CronJob,
    draft: Draft<Job>,
    signal: AbortSignal,
  ): Promise<Job | undefined> => {
    try {
      return await owned.create(draft, signal);
    } catch (error) {
      if (isNamespaceGone(error)) return undefined;
      if (hasReason(error, "AlreadyExists")) {
        const { name = "", namespace } = draft.metadata;
        const there = await client.get(jobKind, { name, namespace }, { signal });
        // Made by a process that ended before it could say so in the status.
        if (controllerOf(there)?.uid === cronJob.metadata.uid) return there;
      }
      if (!signal.aborted && error instanceof StatusError) {
        const text = `Error creating job: ${error.message}`;
        events?.record(referenceTo(cronJob), "Warning", "FailedCreate", text);
      }
      throw error;
    }
  };

  const reconciler = startReconciler({
    name: "cronjob",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listeners = [
    cronJobs.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    jobs.onChange((change) => {
      for (const key of owned.ownersOf(change)) reconciler.enqueue(key);
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** How far a zone is ahead of UTC; without a name the zone that this process runs in. */
function zoneOffset(timeZone: string | undefined): OffsetAt {
  if (timeZone === undefined) {
    return (ms) => -new Date(ms).getTimezoneOffset() * 60_000;
  }
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (ms) => {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
    const local = Date.UTC(
      part("year"),
      part("month") - 1,
      part("day"),
      part("hour"),
      part("minute"),
      part("second"),
    );
    return local - Math.floor(ms / 1000) * 1000;
  };
}
