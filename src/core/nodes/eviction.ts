import type { Pod } from "../../api/v1/pod.ts";
import type { PodCondition } from "../../api/v1/pod-status.ts";
import type { Taint } from "../../api/v1/taint.ts";
import { tolerates } from "../scheduling/tolerations.ts";

export interface SeenTaint {
  readonly taint: Taint;
  /** Epoch milliseconds since when the node has it. */
  readonly sinceMs: number;
}

/**
 * When a Pod must leave a node with these taints of effect NoExecute, in epoch milliseconds; undefined: it may
 * stay. A taint that it does not tolerate drives it off at once; one that it tolerates for `tolerationSeconds`
 * after that time, counted from the taint.
 */
export function evictionTimeMs(pod: Pod, taints: readonly SeenTaint[]): number | undefined {
  let first: number | undefined;
  for (const { taint, sinceMs } of taints) {
    const toleration = (pod.spec.tolerations ?? []).find((one) => tolerates(one, taint));
    const seconds = toleration === undefined ? 0 : toleration.tolerationSeconds;
    if (seconds === undefined) continue;
    const atMs = sinceMs + Math.max(0, seconds) * 1000;
    if (first === undefined || atMs < first) first = atMs;
  }
  return first;
}

/**
 * Says that the Pod goes by no fault of its own.
 * @param now RFC 3339.
 */
export function disruptionCondition(
  reason: "DeletionByTaintManager" | "DeletionByPodGC",
  message: string,
  now: string,
): PodCondition {
  return { type: "DisruptionTarget", status: "True", reason, message, lastTransitionTime: now };
}
