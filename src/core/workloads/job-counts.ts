import type { Job } from "../../api/batch/job.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isActive, isEnded } from "./pods.ts";

export const COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index";
/** Holds a Pod of a Job until its end is counted. */
export const JOB_TRACKING = "batch.kubernetes.io/job-tracking";

/** What is known of the Pods that have ended. */
export interface JobCounts {
  /** Every end that is known, whether it is already counted or only noted. */
  readonly succeeded: number;
  readonly failed: number;
  /** Ends whose Pods are let go. */
  readonly counted: { readonly succeeded: number; readonly failed: number };
  /** Uids of Pods whose ends are noted, for the status. */
  readonly notes: { readonly succeeded: readonly string[]; readonly failed: readonly string[] };
  /** The Pods of the notes that are still held. */
  readonly noted: readonly Pod[];
  /** Uids of all that is noted. */
  readonly uncounted: readonly string[];
  /** Indexes that succeeded, of an Indexed Job. */
  readonly completed: ReadonlySet<number>;
  /** Pods that failed and are still there. */
  readonly failures: readonly Pod[];
  /** Pods that were told to end and have not. */
  readonly terminating: number;
}

/** Counts a Job's ended Pods, each once. */
export function countJob({ spec, status = {} }: Job, pods: readonly Pod[]): JobCounts {
  const isIndexed = spec.completionMode === "Indexed";
  const held = new Map<string, Pod>();
  for (const pod of pods) {
    if ((pod.metadata.finalizers ?? []).includes(JOB_TRACKING)) {
      held.set(pod.metadata.uid ?? "", pod);
    }
  }
  const before = status.uncountedTerminatedPods ?? {};
  const isStillHeld = (uid: string): boolean => held.has(uid);
  const onlyEnded = spec.podReplacementPolicy === "Failed";
  const known = new Set([...(before.succeeded ?? []), ...(before.failed ?? [])]);
  const news = [...held].filter(([uid]) => !known.has(uid)).map(([, pod]) => pod);
  const uidsOf = (list: readonly Pod[]): readonly string[] =>
    list.map(({ metadata }) => metadata.uid ?? "");
  const successes = news.filter((pod) => pod.status?.phase === "Succeeded");
  const completed = new Set(parseIndexes(status.completedIndexes ?? ""));
  for (const pod of isIndexed ? successes : []) {
    const index = indexOf(pod);
    if (index !== undefined && index < (spec.completions ?? 0)) completed.add(index);
  }
  const notes = {
    succeeded: [...(before.succeeded ?? []).filter(isStillHeld), ...uidsOf(successes)],
    failed: [
      ...(before.failed ?? []).filter(isStillHeld),
      ...uidsOf(news.filter((pod) => hasFailed(pod, onlyEnded))),
    ],
  };
  const gone = (uids: readonly string[] = []): number =>
    uids.filter((uid) => !isStillHeld(uid)).length;
  const counted = {
    succeeded: isIndexed ? completed.size : (status.succeeded ?? 0) + gone(before.succeeded),
    failed: (status.failed ?? 0) + gone(before.failed),
  };
  const uncounted = [...notes.succeeded, ...notes.failed];
  return {
    succeeded: isIndexed ? completed.size : counted.succeeded + notes.succeeded.length,
    failed: counted.failed + notes.failed.length,
    counted,
    notes,
    noted: uncounted.flatMap((uid) => held.get(uid) ?? []),
    uncounted,
    completed,
    failures: pods.filter((pod) => pod.status?.phase === "Failed"),
    terminating: pods.filter((pod) => !isActive(pod) && !isEnded(pod)).length,
  };
}

/** A Pod that is told to end and does not succeed has failed, unless only Pods that have ended count. */
function hasFailed({ metadata, status }: Pod, onlyEnded: boolean): boolean {
  if (status?.phase === "Failed") return true;
  if (metadata.deletionTimestamp === undefined || status?.phase === "Succeeded") return false;
  return !onlyEnded || metadata.deletionGracePeriodSeconds === 0;
}

export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[COMPLETION_INDEX];
  return text === undefined ? undefined : Number(text);
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

/** The inverse of {@link formatIndexes}. */
export function parseIndexes(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(",").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
