import type { Container } from "../api/v1/container.ts";
import type { ContainerStatus, PodStatus } from "../api/v1/pod-status.ts";
import type { Pod } from "../api/v1/pod.ts";
import { conditionsOf } from "./conditions.ts";
import { containerStatusOf } from "./container-status.ts";
import { initContainersOf } from "./facts.ts";
import type { ContainerFacts, PodFacts } from "./facts.ts";
import { isCompleted, isInitialized } from "./plan.ts";
import type { PodPlan } from "./plan.ts";
import { timeText } from "./time.ts";

/**
 * The status that the API should show (kubelet `generateAPIPodStatus`, `getPhase`). Fields of `pod.status`
 * that others own, such as conditions of readiness gates, are kept. Times are RFC 3339 with seconds; a
 * condition's lastTransitionTime is kept while its status stays. While the Pod terminates, Ready keeps
 * following the probes (TERM-009), since EPS-022 takes `serving` from it.
 */
export function podStatusOf(pod: Pod, facts: PodFacts, plan: PodPlan, nowMs: number): PodStatus {
  const phase = phaseOf(pod, facts, plan);
  const inits = initContainersOf(pod);
  const statusOf = (container: Container): ContainerStatus =>
    containerStatusOf(pod, container, facts.containers.get(container.name), facts.canMount, nowMs);
  const containerStatuses = pod.spec.containers.map(statusOf);
  const hasIp = facts.podIp !== undefined;
  return {
    ...pod.status,
    phase,
    ...(plan.failure === undefined || plan.failure.reason === "" ? {} : plan.failure),
    conditions: conditionsOf(pod, facts, phase, containerStatuses, nowMs),
    hostIP: facts.hostIps[0],
    hostIPs: facts.hostIps.map((ip) => ({ ip })),
    ...(hasIp ? { podIP: facts.podIp, podIPs: facts.podIps.map((ip) => ({ ip })) } : {}),
    startTime: pod.status?.startTime ?? timeText(facts.acceptedAtMs),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits.map(statusOf) }),
    containerStatuses,
  };
}

type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

function phaseOf(pod: Pod, facts: PodFacts, plan: PodPlan): Phase {
  const old = pod.status?.phase;
  if (old === "Succeeded" || old === "Failed") return old;
  const mains = pod.spec.containers.map(({ name }) => facts.containers.get(name));
  const isEnding = pod.metadata.deletionTimestamp !== undefined || plan.failure !== undefined;
  // A terminal phase only when nothing runs any more: controllers replace the Pod upon it.
  if (isEnding && plan.isFinished)
    return plan.failure === undefined && mains.every(isCompleted) ? "Succeeded" : "Failed";
  if (!isInitialized(pod, facts)) return "Pending";
  const hasRun = (container: ContainerFacts | undefined): boolean =>
    container?.state.kind === "running" ||
    container?.state.kind === "exited" ||
    container?.previous !== undefined;
  if (!mains.every(hasRun)) return "Pending";
  if (!plan.isFinished) return "Running";
  return mains.every(isCompleted) ? "Succeeded" : "Failed";
}
