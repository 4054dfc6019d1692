import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { TRIGGER_TIME_ANNOTATION } from "../core/endpoints/slice-metadata.ts";
import type { Counter, Gauge, Histogram, Metrics } from "../telemetry/metrics.ts";

/** Trigger times kept between two syncs; more are not measured. */
const MAX_PENDING = 10_000;

/** How the proxy keeps up, under kube-proxy's names so that dashboards made for it work. */
export class SyncMetrics {
  readonly #duration: Histogram;
  readonly #programming: Histogram;
  readonly #lastSync: Gauge;
  readonly #lastQueued: Gauge;
  readonly #serviceChanges: Counter;
  readonly #endpointChanges: Counter;
  readonly #failures: Counter;
  readonly #pending = new Map<ObjectKey, number[]>();
  #pendingCount = 0;

  constructor(metrics: Metrics) {
    this.#duration = metrics
      .histogram(
        "kubeproxy_sync_proxy_rules_duration_seconds",
        "Time from taking changed Services off the queue to the data plane serving them.",
      )
      .with();
    this.#programming = metrics
      .histogram(
        "kubeproxy_network_programming_duration_seconds",
        "Time from a Pod's or Service's change to the data plane serving it.",
      )
      .with();
    this.#lastSync = metrics
      .gauge(
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        "When changes were last put into the data plane.",
      )
      .with();
    this.#lastQueued = metrics
      .gauge(
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
        "When a change was last queued.",
      )
      .with();
    this.#serviceChanges = metrics
      .counter("kubeproxy_sync_proxy_rules_service_changes_total", "Changes of Services seen.")
      .with();
    this.#endpointChanges = metrics
      .counter(
        "kubeproxy_sync_proxy_rules_endpoint_changes_total",
        "Changes of EndpointSlices seen.",
      )
      .with();
    this.#failures = metrics
      .counter(
        "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
        "Syncs that the data plane refused as a whole.",
      )
      .with();
  }

  serviceChanged(): void {
    this.#serviceChanges.inc();
    this.#lastQueued.set(Date.now() / 1000);
  }

  /** Notes when the cause of a slice's change happened. */
  sliceChanged(
    service: ObjectKey,
    before: EndpointSlice | undefined,
    after: EndpointSlice | undefined,
  ): void {
    this.#endpointChanges.inc();
    this.#lastQueued.set(Date.now() / 1000);
    const text = after?.metadata.annotations?.[TRIGGER_TIME_ANNOTATION];
    if (text === undefined || text === before?.metadata.annotations?.[TRIGGER_TIME_ANNOTATION])
      return;
    const triggeredMs = Date.parse(text);
    if (Number.isNaN(triggeredMs) || this.#pendingCount >= MAX_PENDING) return;
    this.#pendingCount++;
    const known = this.#pending.get(service);
    if (known === undefined) this.#pending.set(service, [triggeredMs]);
    else known.push(triggeredMs);
  }

  /** The first sync serves what is old already: its age says nothing of the proxy. */
  forgetPending(): void {
    this.#pending.clear();
    this.#pendingCount = 0;
  }

  synced(services: readonly ObjectKey[], durationMs: number): void {
    const nowMs = Date.now();
    this.#duration.observe(durationMs / 1000);
    this.#lastSync.set(nowMs / 1000);
    for (const service of services) {
      const times = this.#pending.get(service);
      if (times === undefined) continue;
      this.#pending.delete(service);
      this.#pendingCount -= times.length;
      for (const ms of times) this.#programming.observe(Math.max(0, nowMs - ms) / 1000);
    }
  }

  failed(): void {
    this.#failures.inc();
  }
}
