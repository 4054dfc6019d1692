import type { Counter, Gauge, Histogram, Metrics } from "../telemetry/metrics.ts";

/** What the agent counts. */
export interface AgentMetrics {
  /** Pods that the agent is responsible for. */
  readonly pods: Gauge;
  readonly containerStarts: Counter;
  /** Starts that failed: no such program, missing ConfigMap. */
  readonly failedStarts: Counter;
  /** Writes of Pod status that the API acknowledged. */
  readonly statusWrites: Counter;
  /** From the request to end a Pod until its program was asked to. */
  readonly drainSeconds: Histogram;
  /** Pods stopped though a data plane had not confirmed. */
  readonly drainTimeouts: Counter;
}

export function createAgentMetrics(metrics: Metrics): AgentMetrics {
  return {
    pods: metrics
      .gauge("portolan_agent_pods", "Pods that the node agent is responsible for.")
      .with(),
    containerStarts: metrics
      .counter("portolan_agent_container_starts_total", "Containers started by the node agent.")
      .with(),
    failedStarts: metrics
      .counter(
        "portolan_agent_container_start_failures_total",
        "Containers that the node agent could not start.",
      )
      .with(),
    statusWrites: metrics
      .counter(
        "portolan_agent_pod_status_writes_total",
        "Writes of Pod status that the API server acknowledged.",
      )
      .with(),
    drainSeconds: metrics
      .histogram(
        "portolan_agent_pod_drain_duration_seconds",
        "Time that Pods with endpoints ran on after they were asked to end, until all data planes had confirmed.",
      )
      .with(),
    drainTimeouts: metrics
      .counter(
        "portolan_agent_pod_drain_timeouts_total",
        "Pods stopped though a data plane had not confirmed that it sends them nothing new.",
      )
      .with(),
  };
}
