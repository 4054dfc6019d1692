import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { KindCache } from "./kind-cache.ts";
import type { WatchCache } from "./watch-cache.ts";
import type { Route } from "./routes.ts";

export interface RequestMetrics extends Disposable {
  /** An answer began: for watches that is long before they end. */
  answered(method: string, route: Route | undefined, code: number, seconds: number): void;
}

/** Counts what the API server answers, and shows what it holds. */
export function requestMetrics(metrics: Metrics, cache: WatchCache): RequestMetrics {
  const total = metrics.counter(
    "portolan_api_requests_total",
    "Requests answered, by method, resource and status code.",
    ["method", "resource", "code"],
  );
  const seconds = metrics.histogram(
    "portolan_api_request_seconds",
    "Time until the answer to a request began, by method.",
    ["method"],
  );
  const objects = metrics.onScrape(
    "portolan_api_objects",
    "Objects held, by resource.",
    ["resource"],
    () => stored(cache).map(({ definition, size }) => [{ resource: resourceOf(definition) }, size]),
  );
  const watches = metrics.onScrape(
    "portolan_api_watches",
    "Watches that wait for changes, by resource.",
    ["resource"],
    () =>
      stored(cache).map(({ definition, watchers }) => [
        { resource: resourceOf(definition) },
        watchers,
      ]),
  );
  return {
    answered(method, route, code, elapsed) {
      // Paths come from outside; only what is served may name a series.
      const resource = route?.kind === "resource" ? resourceOf(route.definition) : "";
      total.with({ method, resource, code: String(code) }).inc();
      seconds.with({ method }).observe(elapsed);
    },
    [Symbol.dispose]() {
      objects[Symbol.dispose]();
      watches[Symbol.dispose]();
    },
  };
}

/** One cache for each resource, though custom ones have one for each version, and Events one for each group. */
function stored(cache: WatchCache): readonly KindCache[] {
  return cache
    .kinds()
    .filter(
      ({ definition: { custom, storedAs } }) =>
        custom?.isStorageVersion !== false && storedAs === undefined,
    );
}

/** Custom resources may have the names of others in another group. */
function resourceOf(definition: KindDefinition): string {
  return definition.custom === undefined ? definition.plural : resourceNameOf(definition);
}
