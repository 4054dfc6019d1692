import { formatHostPort } from "../net/host-port.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { AnswerCache, CacheMetrics } from "./answer-cache.ts";
import { rcodeLabel } from "./metrics.ts";
import type { Upstream } from "./upstream.ts";

export interface ForwardMetrics {
  answered(upstream: Upstream, rcode: number, ms: number): void;
  connection(upstream: Upstream, isReused: boolean): void;
  checkFailed(upstream: Upstream): void;
  /** Every server is down. */
  allDown(): void;
  rejected(): void;
  servedStale(): void;
  prefetched(): void;
}

export const NO_FORWARD_METRICS: ForwardMetrics = {
  answered: () => undefined,
  connection: () => undefined,
  checkFailed: () => undefined,
  allDown: () => undefined,
  rejected: () => undefined,
  servedStale: () => undefined,
  prefetched: () => undefined,
};

/** Seconds: CoreDNS's. */
const BUCKETS = Array.from({ length: 16 }, (_, n) => 0.00025 * 2 ** n);
const PROXY = "forward";
const SHARES = ["success", "denial"] as const;

/**
 * CoreDNS's metrics of forwarding and of its cache, by their names and labels.
 * @param zones of the cache, joined.
 */
export function createForwardMetrics(
  metrics: Metrics,
  server: string,
  zones: string,
): ForwardMetrics & { readonly cache: CacheMetrics; watch(cache: AnswerCache): Disposable } {
  const durations = metrics.histogram(
    "coredns_proxy_request_duration_seconds",
    "Time until an upstream server answered.",
    ["proxy_name", "to", "rcode"],
    BUCKETS,
  );
  // As CoreDNS called them up to 1.10, and dashboards still do.
  const asked = metrics.counter(
    "coredns_forward_requests_total",
    "Questions that an upstream server answered.",
    ["to"],
  );
  const answers = metrics.counter(
    "coredns_forward_responses_total",
    "Answers of an upstream server.",
    ["to", "rcode"],
  );
  const forwardDurations = metrics.histogram(
    "coredns_forward_request_duration_seconds",
    "Time until an upstream server answered.",
    ["to", "rcode"],
    BUCKETS,
  );
  const checks = metrics.counter(
    "coredns_proxy_healthcheck_failures_total",
    "Health checks of an upstream server that failed.",
    ["proxy_name", "to"],
  );
  const reused = metrics.counter(
    "coredns_proxy_conn_cache_hits_total",
    "Questions sent on a connection that was open already.",
    ["proxy_name", "to", "proto"],
  );
  const opened = metrics.counter(
    "coredns_proxy_conn_cache_misses_total",
    "Questions that a connection was opened for.",
    ["proxy_name", "to", "proto"],
  );
  const broken = metrics.counter(
    "coredns_forward_healthcheck_broken_total",
    "Times that every upstream server was down.",
  );
  const rejects = metrics.counter(
    "coredns_forward_max_concurrent_rejects_total",
    "Questions refused since too many waited.",
  );
  for (const each of [broken, rejects]) each.with().inc(0);
  const view = "";
  const common = { server, zones, view };
  const requests = metrics.counter("coredns_cache_requests_total", "Look-ups in the cache.", [
    "server",
    "zones",
    "view",
  ]);
  const hits = metrics.counter("coredns_cache_hits_total", "Answers given from the cache.", [
    "server",
    "type",
    "zones",
    "view",
  ]);
  const misses = metrics.counter("coredns_cache_misses_total", "Look-ups that found nothing.", [
    "server",
    "zones",
    "view",
  ]);
  const prefetch = metrics.counter(
    "coredns_cache_prefetch_total",
    "Answers asked for again before their time was over.",
    ["server", "zones", "view"],
  );
  const stale = metrics.counter(
    "coredns_cache_served_stale_total",
    "Answers given although their time was over.",
    ["server", "zones", "view"],
  );
  const evictions = metrics.counter(
    "coredns_cache_evictions_total",
    "Answers dropped from a full cache.",
    ["server", "type", "zones", "view"],
  );
  const drops = metrics.counter(
    "coredns_cache_drops_total",
    "Answers not kept since they are too long.",
    ["server", "zones", "view"],
  );
  const toOf = ({ address, port }: Upstream): string => formatHostPort(address, port);
  return {
    answered: (upstream, rcode, ms) => {
      const labels = { to: toOf(upstream), rcode: rcodeLabel(rcode) };
      durations.with({ proxy_name: PROXY, ...labels }).observe(ms / 1000);
      forwardDurations.with(labels).observe(ms / 1000);
      asked.with({ to: labels.to }).inc();
      answers.with(labels).inc();
    },
    connection: (upstream, isReused) => {
      const proto = upstream.tls === undefined ? "tcp" : "tcp-tls";
      (isReused ? reused : opened).with({ proxy_name: PROXY, to: toOf(upstream), proto }).inc();
    },
    checkFailed: (upstream) => {
      checks.with({ proxy_name: PROXY, to: toOf(upstream) }).inc();
    },
    allDown: () => {
      broken.with().inc();
    },
    rejected: () => {
      rejects.with().inc();
    },
    servedStale: () => {
      stale.with(common).inc();
    },
    prefetched: () => {
      prefetch.with(common).inc();
    },
    cache: {
      requested: () => {
        requests.with(common).inc();
      },
      hit: (type) => {
        hits.with({ ...common, type }).inc();
      },
      missed: () => {
        misses.with(common).inc();
      },
      dropped: () => {
        drops.with(common).inc();
      },
      evicted: (type) => {
        evictions.with({ ...common, type }).inc();
      },
    },
    watch: (cache) => {
      // What never happened is 0, as CoreDNS says it, not unknown.
      for (const each of [hits, evictions]) {
        for (const type of SHARES) each.with({ ...common, type }).inc(0);
      }
      for (const each of [misses, drops]) each.with(common).inc(0);
      return metrics.onScrape(
        "coredns_cache_entries",
        "Answers held in the cache.",
        ["server", "type", "zones", "view"],
        () => SHARES.map((type) => [{ ...common, type }, cache.sizeOf(type)] as const),
      );
    },
  };
}
