import type { Metrics } from "../telemetry/metrics.ts";
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
    () => cache.kinds().map(({ definition, size }) => [{ resource: definition.plural }, size]),
  );
  const watches = metrics.onScrape(
    "portolan_api_watches",
    "Watches that wait for changes, by resource.",
    ["resource"],
    () =>
      cache.kinds().map(({ definition, watchers }) => [{ resource: definition.plural }, watchers]),
  );
  return {
    answered(method, route, code, elapsed) {
      // Paths come from outside; only what is served may name a series.
      const resource = route?.kind === "resource" ? route.definition.plural : "";
      total.with({ method, resource, code: String(code) }).inc();
      seconds.with({ method }).observe(elapsed);
    },
    [Symbol.dispose]() {
      objects[Symbol.dispose]();
      watches[Symbol.dispose]();
    },
  };
}
