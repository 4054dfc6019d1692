import type { Backend, BackendSet } from "../core/proxy/frontend.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Counter, Gauge, Metrics } from "../telemetry/metrics.ts";

/** Connections that got no backend, by why. */
type RefusalReason =
  | "NoBackendAnswered"
  | "LimitReached"
  | "SourceNotAllowed"
  | "NoLocalEndpoints"
  | "NoEndpoints";

export interface BackendMetrics {
  /** TCP connections and UDP sessions handed to this backend since it was first used. */
  readonly total: Counter;
  /** Those of them that are open. */
  readonly open: Gauge;
}

export interface ProxyMetrics {
  of(target: BackendSet, backend: Backend): BackendMetrics;
  /** Forgets a backend that left its Service. */
  forget(target: BackendSet, backend: Backend): void;
  refused(reason: RefusalReason): void;
}

const LABELS = ["service", "port", "protocol", "endpoint"] as const;

/** Per-endpoint counts. Looked up once a backend object, so that counting a connection is one addition. */
export function proxyMetrics(metrics: Metrics): ProxyMetrics {
  const total = metrics.counter(
    "portolan_proxy_connections_total",
    "TCP connections and UDP sessions forwarded, by Service port and endpoint.",
    LABELS,
  );
  const open = metrics.gauge(
    "portolan_proxy_open_connections",
    "TCP connections and UDP sessions that are open, by Service port and endpoint.",
    LABELS,
  );
  const refused = metrics.counter(
    "portolan_proxy_refused_connections_total",
    "Connections and datagrams accepted but not forwarded, by reason.",
    ["reason"],
  );
  // Weak, so that a backend that left the table takes its entry along.
  const cache = new WeakMap<Backend, BackendMetrics>();
  return {
    of(target, backend) {
      const known = cache.get(backend);
      if (known !== undefined) return known;
      const labels = labelsOf(target, backend);
      const made = { total: total.with(labels), open: open.with(labels) };
      cache.set(backend, made);
      return made;
    },
    forget(target, backend) {
      const labels = labelsOf(target, backend);
      total.remove(labels);
      open.remove(labels);
      cache.delete(backend);
    },
    refused: (reason) => {
      refused.with({ reason }).inc();
    },
  };
}

function labelsOf(
  target: BackendSet,
  backend: Backend,
): Readonly<Record<(typeof LABELS)[number], string>> {
  return {
    service: target.service,
    port: target.portName,
    protocol: target.protocol,
    endpoint: formatHostPort(backend.address, backend.port),
  };
}
