import { RCODE } from "../core/dns/message.ts";
import { formatType } from "../core/dns/zone-text.ts";
import { formatHostPort } from "../net/host-port.ts";
import { ipFamilyOf } from "../net/address.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ListenAddress, Protocol } from "./listener.ts";

interface AnsweredFacts {
  readonly protocol: Protocol;
  /** Undefined when no question could be read. */
  readonly type: number | undefined;
  readonly rcode: number;
  /** Which of CoreDNS's plugins would have answered. */
  readonly by: "kubernetes" | "forward";
  readonly ms: number;
}

export interface DnsMetrics {
  answered(facts: AnsweredFacts): void;
  /** A message that gets no answer. */
  dropped(protocol: Protocol): void;
}

/** Seconds; from CoreDNS (`plugin.TimeBuckets`), so that dashboards made for it fit: 0.25 ms times 2^n. */
const BUCKETS = Array.from({ length: 16 }, (_, n) => 0.00025 * 2 ** n);

/** CoreDNS's metrics, by its names and labels. */
export function createDnsMetrics(
  metrics: Metrics,
  listen: ListenAddress,
  clusterDomain: string,
): DnsMetrics {
  const server = `dns://${formatHostPort(listen.address, listen.port)}`;
  const family = ipFamilyOf(listen.address) === "IPv4" ? "1" : "2";
  const requests = metrics.counter("coredns_dns_requests_total", "DNS questions received.", [
    "server",
    "zone",
    "view",
    "proto",
    "family",
    "type",
  ]);
  const responses = metrics.counter("coredns_dns_responses_total", "DNS answers sent.", [
    "server",
    "zone",
    "view",
    "rcode",
    "plugin",
  ]);
  const durations = metrics.histogram(
    "coredns_dns_request_duration_seconds",
    "From a question's arrival to its answer.",
    ["server", "zone", "view"],
    BUCKETS,
  );
  const request = memoized((protocol: Protocol, zone: string, type: string) =>
    requests.with({ server, zone, view: "", proto: protocol, family, type }),
  );
  const response = memoized((zone: string, rcode: string, plugin: string) =>
    responses.with({ server, zone, view: "", rcode, plugin }),
  );
  const duration = memoized((zone: string) => durations.with({ server, zone, view: "" }));
  return {
    answered: ({ protocol, type, rcode, by, ms }) => {
      const zone = by === "kubernetes" ? clusterDomain : ".";
      request(protocol, zone, typeLabel(type)).inc();
      response(zone, rcodeLabel(rcode), by).inc();
      duration(zone).observe(ms / 1000);
    },
    dropped: (protocol) => {
      request(protocol, "dropped", "other").inc();
    },
  };
}

export const NO_METRICS: DnsMetrics = {
  answered: () => undefined,
  dropped: () => undefined,
};

/** Keeps what a function gave for some labels; these are few. Finding a series anew takes microseconds. */
function memoized<A extends readonly string[], R>(make: (...labels: A) => R): (...labels: A) => R {
  const known = new Map<string, R>();
  return (...labels) => {
    const key = labels.join(" ");
    const found = known.get(key) ?? make(...labels);
    known.set(key, found);
    return found;
  };
}

/** Types without a name here are counted together: whoever asks could make up 65,536 of them. */
function typeLabel(type: number | undefined): string {
  const text = type === undefined ? "other" : formatType(type);
  return text.startsWith("TYPE") ? "other" : text;
}

function rcodeLabel(rcode: number): string {
  const known = Object.entries(RCODE).find(([, value]) => value === rcode);
  return known?.[0] ?? String(rcode);
}
