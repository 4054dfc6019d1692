import type { AccessAction } from "../core/dns/access.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Counts what `acl` decided, by CoreDNS's names: of a server block that listens at `server`. */
export function createAccessMetrics(
  metrics: Metrics,
  server: string,
  zone: string,
): (action: AccessAction) => void {
  const labels = ["server", "zone", "view"] as const;
  const counters = {
    block: metrics.counter("coredns_acl_blocked_requests_total", "Questions refused.", labels),
    filter: metrics.counter(
      "coredns_acl_filtered_requests_total",
      "Questions answered with nothing.",
      labels,
    ),
    allow: metrics.counter("coredns_acl_allowed_requests_total", "Questions let through.", labels),
    drop: metrics.counter("coredns_acl_dropped_requests_total", "Questions not answered.", labels),
  };
  return (action) => {
    counters[action].with({ server, zone, view: "" }).inc();
  };
}
