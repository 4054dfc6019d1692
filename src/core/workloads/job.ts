import type { Job, JobCondition, JobStatus } from "../../api/batch/job.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import { formatTime } from "../../api/machinery/time.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { inOrderOfDeletion, isActive, isEnded, isReady, msOf } from "./pods.ts";
import { podFrom } from "./template.ts";

const COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index";
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
  readonly delete: readonly Pod[];
  readonly status: JobStatus;
  /** The Job has ended long enough ago to go itself. */
  readonly isExpired: boolean;
  readonly againAfterMs: number | undefined;
}

/** It has succeeded or failed for good. */
function endOf({ status }: Job): JobCondition | undefined {
  return status?.conditions?.find(
    ({ type, status: holds }) => (type === "Complete" || type === "Failed") && holds === "True",
  );
}

/**
 * What moves a Job on. Ended Pods are counted where they are, so they must stay until the Job has ended; the
 * counts of a status never shrink.
 */
export function planJob({ job, pods, nowMs }: JobObserved): JobPlan {
  const { spec, status: old = {}, metadata } = job;
  const active = pods.filter(isActive);
  const ended = endOf(job);
  const time = formatTime({ seconds: Math.floor(nowMs / 1000), nanos: 0 });
  const isIndexed = spec.completionMode === "Indexed";
  const done = pods.filter(({ status }) => status?.phase === "Succeeded");
  const indexes = new Set(done.flatMap((pod) => indexOf(pod) ?? []));
  const succeeded = isIndexed ? indexes.size : Math.max(old.succeeded ?? 0, done.length);
  const failures = pods.filter(({ status }) => status?.phase === "Failed");
  const failed = Math.max(old.failed ?? 0, failures.length);
  const isSuspended = spec.suspend === true;
  const startTime = isSuspended ? undefined : (old.startTime ?? time);
  const status = (conditions: readonly JobCondition[], running: readonly Pod[]): JobStatus => {
    const { startTime: _s, conditions: _c, ...kept } = old;
    return {
      ...kept,
      ...(startTime === undefined ? {} : { startTime }),
      ...(conditions.length === 0 ? {} : { conditions }),
      active: running.length,
      ready: running.filter(isReady).length,
      terminating: pods.filter((pod) => !isActive(pod) && !isEnded(pod)).length,
      succeeded,
      failed,
      ...(isIndexed ? { completedIndexes: formatIndexes([...indexes]) } : {}),
    };
  };
  const plan = (more: Partial<JobPlan>): JobPlan => ({
    create: [],
    delete: [],
    status: status(old.conditions ?? [], active),
    isExpired: false,
    againAfterMs: undefined,
    ...more,
  });
  if (metadata.deletionTimestamp !== undefined) return plan({});
  if (ended !== undefined) {
    const left = expiryMs(job, ended, nowMs);
    return plan({ delete: active, isExpired: left === 0, againAfterMs: left });
  }
  const end = (type: "Complete" | "Failed", reason: string, message: string): JobPlan => {
    const criteria = type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
    const said = { status: "True", lastProbeTime: time, lastTransitionTime: time, reason, message };
    const conditions = [...(old.conditions ?? []), { type: criteria, ...said }, { type, ...said }];
    const last = status(conditions, []);
    return plan({
      delete: active,
      status: type === "Complete" ? { ...last, completionTime: time } : last,
    });
  };
  const { completions } = spec;
  const isEnough =
    completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= completions;
  if (isEnough) {
    return end("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
  }
  if (failed > (spec.backoffLimit ?? 6)) {
    return end("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  const deadlineMs = deadlineOf(job, startTime, nowMs);
  if (deadlineMs === 0) {
    return end("Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
  }
  if (isSuspended) {
    return plan({ delete: active, status: status(suspension(old, "True", time), []) });
  }
  const running = status(suspension(old, "False", time), active);
  const parallelism = spec.parallelism ?? 1;
  const surplus = active.length - Math.min(parallelism, (completions ?? Infinity) - succeeded);
  if (surplus > 0) {
    return plan({ delete: inOrderOfDeletion(active, nowMs).slice(0, surplus), status: running });
  }
  const room = completions === undefined && succeeded > 0 ? 0 : -surplus;
  const waitMs = room === 0 ? 0 : backoffMs(failures, nowMs);
  const times = [deadlineMs, waitMs === 0 ? undefined : waitMs].filter((ms) => ms !== undefined);
  return plan({
    create: waitMs > 0 ? [] : newPods(job, pods, indexes, room),
    status: running,
    againAfterMs: times.length === 0 ? undefined : Math.min(...times),
  });
}

function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[COMPLETION_INDEX];
  return text === undefined ? undefined : Number(text);
}

function newPods(
  job: Job,
  pods: readonly Pod[],
  completed: ReadonlySet<number>,
  room: number,
): readonly Draft<Pod>[] {
  const { template, completionMode, completions = 0 } = job.spec;
  if (completionMode !== "Indexed") {
    return Array.from({ length: room }, () => podFrom(template, job));
  }
  const taken = new Set(pods.filter(isActive).flatMap((pod) => indexOf(pod) ?? []));
  const free = Array.from({ length: completions }, (_, i) => i).filter(
    (i) => !taken.has(i) && !completed.has(i),
  );
  return free.slice(0, room).map((i) => {
    const index = String(i);
    const env = { name: "JOB_COMPLETION_INDEX", value: index };
    return podFrom(template, job, {
      annotations: { [COMPLETION_INDEX]: index },
      labels: { [COMPLETION_INDEX]: index },
      spec: {
        hostname: `${job.metadata.name}-${index}`,
        containers: template.spec.containers.map((one) => ({
          ...one,
          env: [...(one.env ?? []), env],
        })),
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

/** `0,2-4,6`: three or more in a row become a range. */
export function formatIndexes(indexes: readonly number[]): string {
  const parts: string[] = [];
  const sorted = indexes.toSorted((a, b) => a - b);
  for (let i = 0; i < sorted.length; ) {
    let j = i;
    while (sorted[j + 1] === (sorted[j] ?? 0) + 1) j++;
    const [first, last] = [String(sorted[i]), String(sorted[j])];
    parts.push(j === i ? first : `${first}${j - i > 1 ? "-" : ","}${last}`);
    i = j + 1;
  }
  return parts.join(",");
}
