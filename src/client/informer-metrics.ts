import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { WatchEvent } from "./client.ts";

export interface InformerMetrics {
  listed(kind: KindDefinition, objects: number): void;
  event(kind: KindDefinition, type: WatchEvent<unknown>["type"]): void;
  holds(kind: KindDefinition, objects: number): void;
  failed(kind: KindDefinition): void;
}

export function createInformerMetrics(metrics: Metrics): InformerMetrics {
  const lists = metrics.counter(
    "portolan_informer_lists_total",
    "Times a kind was listed whole; more than once a kind means that watches expired.",
    ["resource"],
  );
  const events = metrics.counter("portolan_informer_events_total", "Watch events received.", [
    "resource",
    "type",
  ]);
  const failures = metrics.counter(
    "portolan_informer_failures_total",
    "Lists and watches that failed, other than by an expired version.",
    ["resource"],
  );
  const objects = metrics.gauge("portolan_informer_objects", "Objects in the local copy.", [
    "resource",
  ]);
  const resource = resourceNameOf;
  return {
    listed: (kind, count) => {
      lists.with({ resource: resource(kind) }).inc();
      objects.with({ resource: resource(kind) }).set(count);
    },
    event: (kind, type) => {
      events.with({ resource: resource(kind), type }).inc();
    },
    holds: (kind, count) => {
      objects.with({ resource: resource(kind) }).set(count);
    },
    failed: (kind) => {
      failures.with({ resource: resource(kind) }).inc();
    },
  };
}
