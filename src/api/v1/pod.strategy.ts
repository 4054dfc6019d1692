import { deepEqual } from "../machinery/json.ts";
import { keepAllButStatus, keepStatus } from "../machinery/strategy.ts";
import type { Container } from "./container.ts";
import type { Pod, PodSpec } from "./pod.ts";

/** Why a Pod with scheduling gates has no node, in upstream's words. */
const GATED = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
} as const;

/** A create cannot bring a status: the Pod starts as Pending. */
export function preparePodForCreate(pod: Pod): Pod {
  const isGated = (pod.spec.schedulingGates ?? []).length > 0;
  const status = { phase: "Pending", qosClass: qosClassOf(pod.spec) } as const;
  return { ...pod, status: isGated ? { ...status, conditions: [GATED] } : status };
}

export function preparePodForUpdate(pod: Pod, old: Pod): Pod {
  return keepStatus(pod, old);
}

/** The class never changes. */
export function preparePodForStatusUpdate(pod: Pod, old: Pod): Pod {
  const prepared = keepAllButStatus(pod, old);
  const qosClass = old.status?.qosClass ?? qosClassOf(old.spec);
  return { ...prepared, status: { ...prepared.status, qosClass } };
}

/** Seconds between the request to delete a Pod and its end; none for Pods that no agent must stop. */
export function podGraceSeconds(pod: Pod): number {
  const isOver = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
  if (isOver || (pod.spec.nodeName ?? "") === "") return 0;
  return pod.spec.terminationGracePeriodSeconds ?? 0;
}

const COMPUTE = ["cpu", "memory"] as const;

function qosClassOf(spec: PodSpec): string {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const asked = containers.flatMap(({ resources }) =>
    COMPUTE.flatMap((name) => [resources?.requests?.[name], resources?.limits?.[name]]),
  );
  if (asked.every((value) => value === undefined)) return "BestEffort";
  return containers.every(isGuaranteed) ? "Guaranteed" : "Burstable";
}

function isGuaranteed({ resources }: Container): boolean {
  return COMPUTE.every((name) => {
    const limit = resources?.limits?.[name];
    return limit !== undefined && deepEqual(resources?.requests?.[name] ?? limit, limit);
  });
}
