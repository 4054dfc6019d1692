import type { Event as CoreEvent } from "../v1/event.ts";
import type { Event } from "./event.ts";

/** The object of v1 that it is stored as (upstream `apis/events/v1/conversion.go`). */
export function toCoreEvent(event: Event): CoreEvent {
  const {
    apiVersion: _version,
    regarding = {},
    note,
    reportingController,
    deprecatedSource,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedCount,
    ...same
  } = event;
  return withoutAbsent({
    apiVersion: "v1",
    ...same,
    involvedObject: regarding,
    message: note,
    reportingComponent: reportingController,
    source: deprecatedSource,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount,
  });
}

export function fromCoreEvent(event: CoreEvent): Event {
  const {
    apiVersion: _version,
    involvedObject,
    message,
    reportingComponent,
    source,
    firstTimestamp,
    lastTimestamp,
    count,
    series,
    ...same
  } = event;
  return withoutAbsent({
    apiVersion: "events.k8s.io/v1",
    ...same,
    series: series && { ...series, count: series.count ?? 0 },
    regarding: involvedObject,
    note: message,
    reportingController: reportingComponent,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
  });
}

/** JSON has no fields that are there and undefined. */
function withoutAbsent<T extends object>(object: T): T {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  // What was undefined may be absent.
  return Object.fromEntries(entries) as T;
}
