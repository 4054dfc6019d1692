import type { Job, JobCondition, JobStatus } from "../../api/batch/job.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import { formatTimeMs } from "../../api/machinery/time.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { countJob, formatIndexes, indexOf } from "./job-counts.ts";
import type { JobCounts } from "./job-counts.ts";
import { inOrderOfDeletion, isActive, isReady, msOf } from "./pods.ts";
import { COMPLETION_INDEX, JOB_TRACKING } from "./job-counts.ts";
import { podFrom } from "./template.ts";

/** Delay after a failure: doubles with each, as upstream. */
const BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 600_000;

export interface JobObserved {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export interface JobPlan {
  readonly create: readonly Draft<Pod>[];
  /** Active Pods that go; whether their ends count as failures says `isCounted`. */
  readonly delete: readonly Pod[];
  readonly isCounted: boolean;
  /** To be written before anything else is done: it says which ends are about to be counted. */
  readonly status: JobStatus;
  /** Pods whose ends the status knows: nothing holds them any more. */
  readonly release: readonly Pod[];
  /** The Job has ended long enough ago to go itself. */
  readonly isExpired: boolean;
  readonly againAfterMs: number | undefined;
}

type End = Pick<JobCondition, "reason" | "message"> & { readonly type: "Complete" | "Failed" };

/** What the Job will say when its last Pod has ended, by what it says already. */
const ENDS = { SuccessCriteriaMet: "Complete", FailureTarget: "Failed" } as const;

/** It has succeeded or failed for good. */
function endOf({ status }: Job): JobCondition | undefined {
  return status?.conditions?.find(
    ({ type, status: holds }) => (type === "Complete" || type === "Failed") && holds === "True",
  );
}

/**
 * What moves a Job on. Each Pod is held by a finalizer until its end is counted, so that no count is lost
 * whoever deletes it and whenever the program is killed: its uid is first noted in the status, then the finalizer
 * goes, then it counts (KEP-2307). A Job that has succeeded or failed says so when its last Pod has ended.
 */
export function planJob({ job, pods, nowMs }: JobObserved): JobPlan {
  const { spec, status: old = {}, metadata } = job;
  const active = pods.filter(isActive);
  const time = formatTimeMs(nowMs);
  const counts = countJob(job, pods);
  const isSuspended = spec.suspend === true;
  const startTime = isSuspended ? undefined : (old.startTime ?? time);
  const said = old.conditions ?? [];
  const plan = (conditions: readonly JobCondition[], more: Partial<JobPlan> = {}): JobPlan => ({
    create: [],
    delete: [],
    isCounted: true,
    status: statusOf(job, pods, counts, startTime, conditions),
    release: counts.noted,
    isExpired: false,
    againAfterMs: undefined,
    ...more,
  });
  const ended = endOf(job);
  if (ended !== undefined) {
    const left = expiryMs(job, ended, nowMs);
    const isExpired = left === 0 && metadata.deletionTimestamp === undefined;
    const release = pods.filter(isHeld);
    return plan(said, { delete: active, release, isExpired, againAfterMs: left });
  }
  if (metadata.deletionTimestamp !== undefined) return plan(said);

  const deadlineMs = deadlineOf(job, startTime, nowMs);
  const end = decidedEnd(said) ?? endReached(job, counts, active.length, deadlineMs);
  if (end !== undefined) {
    const isOver = active.length === 0 && counts.terminating === 0 && counts.uncounted.length === 0;
    const conditions = withEnd(said, end, isOver, time);
    const next = plan(conditions, { delete: active });
    return isOver && end.type === "Complete"
      ? { ...next, status: { ...next.status, completionTime: time } }
      : next;
  }
  if (isSuspended) {
    return plan(suspension(old, "True", time), { delete: active, isCounted: false });
  }
  const running = suspension(old, "False", time);
  const { completions, parallelism = 1 } = spec;
  const wanted =
    completions === undefined
      ? counts.succeeded > 0
        ? active.length
        : parallelism
      : Math.min(parallelism, Math.max(0, completions - counts.succeeded));
  const surplus = active.length - wanted;
  if (surplus > 0) {
    const remove = inOrderOfDeletion(active, nowMs).slice(0, surplus);
    return plan(running, { delete: remove, isCounted: false, againAfterMs: deadlineMs });
  }
  // Pods on their way out still take room, where only ended ones are replaced.
  const leaving = spec.podReplacementPolicy === "Failed" ? counts.terminating : 0;
  const room = Math.max(0, -surplus - leaving);
  const waitMs = room === 0 ? 0 : backoffMs(counts.failures, nowMs);
  const times = [deadlineMs, waitMs === 0 ? undefined : waitMs].filter((ms) => ms !== undefined);
  return plan(running, {
    create: waitMs > 0 ? [] : newPods(job, active, counts.completed, room),
    againAfterMs: times.length === 0 ? undefined : Math.min(...times),
  });
}

function isHeld({ metadata }: Pod): boolean {
  return (metadata.finalizers ?? []).includes(JOB_TRACKING);
}

function statusOf(
  job: Job,
  pods: readonly Pod[],
  counts: JobCounts,
  startTime: string | undefined,
  conditions: readonly JobCondition[],
): JobStatus {
  const {
    startTime: _s,
    conditions: _c,
    uncountedTerminatedPods: _u,
    completedIndexes: _i,
    ...kept
  } = job.status ?? {};
  const running = pods.filter(isActive);
  const { succeeded, failed } = counts.notes;
  const isClear = succeeded.length + failed.length === 0;
  return {
    ...kept,
    ...(startTime === undefined ? {} : { startTime }),
    ...(conditions.length === 0 ? {} : { conditions }),
    active: running.length,
    ready: running.filter(isReady).length,
    terminating: counts.terminating,
    succeeded: counts.counted.succeeded,
    failed: counts.counted.failed,
    uncountedTerminatedPods: isClear
      ? {}
      : {
          ...(succeeded.length === 0 ? {} : { succeeded }),
          ...(failed.length === 0 ? {} : { failed }),
        },
    ...(job.spec.completionMode === "Indexed" && counts.completed.size > 0
      ? { completedIndexes: formatIndexes([...counts.completed]) }
      : {}),
  };
}

function decidedEnd(conditions: readonly JobCondition[]): End | undefined {
  for (const { type, status, reason, message } of conditions) {
    if (status !== "True") continue;
    if (type === "SuccessCriteriaMet" || type === "FailureTarget") {
      return { type: ENDS[type], reason, message };
    }
  }
  return undefined;
}

function endReached(
  { spec }: Job,
  { succeeded, failed }: JobCounts,
  active: number,
  deadlineMs: number | undefined,
): End | undefined {
  const { completions } = spec;
  if (failed > (spec.backoffLimit ?? 6)) {
    const message = "Job has reached the specified backoff limit";
    return { type: "Failed", reason: "BackoffLimitExceeded", message };
  }
  if (deadlineMs === 0) {
    const message = "Job was active longer than specified deadline";
    return { type: "Failed", reason: "DeadlineExceeded", message };
  }
  const isEnough =
    completions === undefined ? succeeded > 0 && active === 0 : succeeded >= completions;
  if (!isEnough) return undefined;
  const message = "Reached expected number of succeeded pods";
  return { type: "Complete", reason: "CompletionsReached", message };
}

function withEnd(
  conditions: readonly JobCondition[],
  { type, reason, message }: End,
  isOver: boolean,
  time: string,
): readonly JobCondition[] {
  const said = { status: "True", lastProbeTime: time, lastTransitionTime: time, reason, message };
  const criteria = type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
  const isSaid = conditions.some((one) => one.type === criteria);
  return [
    ...conditions,
    ...(isSaid ? [] : [{ type: criteria, ...said }]),
    ...(isOver ? [{ type, ...said }] : []),
  ];
}

function newPods(
  job: Job,
  active: readonly Pod[],
  completed: ReadonlySet<number>,
  room: number,
): readonly Draft<Pod>[] {
  const { template, completionMode, completions = 0 } = job.spec;
  const finalizers = [...(template.metadata?.finalizers ?? []), JOB_TRACKING];
  if (completionMode !== "Indexed") {
    return Array.from({ length: room }, () => podFrom(template, job, { finalizers }));
  }
  const taken = new Set(active.flatMap((pod) => indexOf(pod) ?? []));
  const free = Array.from({ length: completions }, (_, i) => i).filter(
    (i) => !taken.has(i) && !completed.has(i),
  );
  return free.slice(0, room).map((i) => {
    const index = String(i);
    const env = {
      name: "JOB_COMPLETION_INDEX",
      valueFrom: { fieldRef: { fieldPath: `metadata.labels['${COMPLETION_INDEX}']` } },
    };
    const withIndex = <C extends { readonly env?: readonly object[] | undefined }>(one: C): C => ({
      ...one,
      env: [...(one.env ?? []), env],
    });
    return podFrom(template, job, {
      generateName: `${job.metadata.name}-${index}-`,
      annotations: { [COMPLETION_INDEX]: index },
      labels: { [COMPLETION_INDEX]: index },
      finalizers,
      spec: {
        hostname: `${job.metadata.name}-${index}`,
        containers: template.spec.containers.map(withIndex),
        ...(template.spec.initContainers === undefined
          ? {}
          : { initContainers: template.spec.initContainers.map(withIndex) }),
      },
    });
  });
}

function suspension(
  old: JobStatus,
  holds: "True" | "False",
  time: string,
): readonly JobCondition[] {
  const conditions = old.conditions ?? [];
  const before = conditions.find(({ type }) => type === "Suspended");
  if (before === undefined ? holds === "False" : before.status === holds) return conditions;
  const word = holds === "True" ? "suspended" : "resumed";
  return [
    ...conditions.filter((one) => one !== before),
    {
      type: "Suspended",
      status: holds,
      lastProbeTime: time,
      lastTransitionTime: time,
      reason: `Job${word[0]?.toUpperCase() ?? ""}${word.slice(1)}`,
      message: `Job ${word}`,
    },
  ];
}

function deadlineOf(
  { spec }: Job,
  startTime: string | undefined,
  nowMs: number,
): number | undefined {
  const start = msOf(startTime);
  if (spec.activeDeadlineSeconds === undefined || start === undefined) return undefined;
  return Math.max(0, start + spec.activeDeadlineSeconds * 1000 - nowMs);
}

function expiryMs({ spec }: Job, end: JobCondition, nowMs: number): number | undefined {
  const at = msOf(end.lastTransitionTime);
  if (spec.ttlSecondsAfterFinished === undefined || at === undefined) return undefined;
  return Math.max(0, at + spec.ttlSecondsAfterFinished * 1000 - nowMs);
}

/** How long to wait after the last of the failures. */
function backoffMs(failures: readonly Pod[], nowMs: number): number {
  if (failures.length === 0) return 0;
  const ends = failures.map((pod) => {
    const times = (pod.status?.containerStatuses ?? []).map(
      ({ state }) => msOf(state?.terminated?.finishedAt) ?? 0,
    );
    return Math.max(msOf(pod.metadata.creationTimestamp) ?? 0, ...times);
  });
  const delay = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** (failures.length - 1));
  return Math.max(0, Math.max(...ends) + delay - nowMs);
}
