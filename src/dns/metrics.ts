import { formatDomainName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { RCODE } from "../core/dns/message.ts";
import { formatType } from "../core/dns/record-type.ts";
import { formatHostPort } from "../net/host-port.ts";
import { ipFamilyOf } from "../net/address.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { DURATION_BUCKETS, SIZE_BUCKETS } from "./buckets.ts";
import type { ListenAddress, Protocol } from "./listener.ts";
import type { Tally } from "./question-tally.ts";

/** Questions that are counted as one. */
export interface CountedSeries {
  readonly protocol: Protocol;
  /** The zone of the server block; undefined when the question is in none. */
  readonly zone: DomainName | undefined;
  /** Undefined when no question could be read. */
  readonly type: number | undefined;
  readonly rcode: number;
  /** Which of CoreDNS's plugins would have answered; "" for none. */
  readonly by: string;
}

interface AnsweredFacts extends CountedSeries {
  readonly ms: number;
  readonly dnssecOk: boolean;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface DnsMetrics {
  answered(facts: AnsweredFacts): void;
  /** Many questions of one series, which were counted elsewhere. */
  counted(series: CountedSeries, tally: Tally): void;
  /** A message that gets no answer, or so many of them. */
  dropped(protocol: Protocol, count?: number): void;
}

/** CoreDNS's metrics, by its names and labels. */
export function createDnsMetrics(
  metrics: Metrics,
  listen: ListenAddress,
  scheme: "dns" | "tls" = "dns",
): DnsMetrics {
  const server = `${scheme}://${formatHostPort(listen.address, listen.port)}`;
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
    DURATION_BUCKETS,
  );
  const requestSizes = metrics.histogram(
    "coredns_dns_request_size_bytes",
    "Size of questions.",
    ["server", "zone", "view", "proto"],
    SIZE_BUCKETS,
  );
  const responseSizes = metrics.histogram(
    "coredns_dns_response_size_bytes",
    "Size of answers.",
    ["server", "zone", "view", "proto"],
    SIZE_BUCKETS,
  );
  const dnssec = metrics.counter(
    "coredns_dns_do_requests_total",
    "DNS questions that want signatures (DO).",
    ["server", "zone", "view"],
  );
  const view = "";
  const request = memoized((zone: string, proto: string, type: string) =>
    requests.with({ server, zone, view, proto, family, type }),
  );
  const response = memoized((zone: string, rcode: string, plugin: string) =>
    responses.with({ server, zone, view, rcode, plugin }),
  );
  const zoned = memoized((zone: string, proto: string) => ({
    duration: durations.with({ server, zone, view }),
    requestSize: requestSizes.with({ server, zone, view, proto }),
    responseSize: responseSizes.with({ server, zone, view, proto }),
    dnssec: () => dnssec.with({ server, zone, view }),
  }));
  // A zone is the same array for each question that is in it.
  const zoneNames = new Map<DomainName | undefined, string>();
  const zoneLabel = (zone: DomainName | undefined): string => {
    const known = zoneNames.get(zone) ?? (zone === undefined ? "dropped" : formatDomainName(zone));
    zoneNames.set(zone, known);
    return known;
  };
  return {
    answered: (facts) => {
      const zone = zoneLabel(facts.zone);
      const proto = facts.protocol === "tls" ? "tcp" : facts.protocol;
      request(zone, proto, typeLabel(facts.type)).inc();
      response(zone, rcodeLabel(facts.rcode), facts.by).inc();
      const series = zoned(zone, proto);
      series.duration.observe(facts.ms / 1000);
      series.requestSize.observe(facts.requestBytes);
      series.responseSize.observe(facts.responseBytes);
      if (facts.dnssecOk) series.dnssec().inc();
    },
    counted: ({ zone, protocol, type, rcode, by }, tally) => {
      const label = zoneLabel(zone);
      const proto = protocol === "tls" ? "tcp" : protocol;
      request(label, proto, typeLabel(type)).inc(tally.answers);
      response(label, rcodeLabel(rcode), by).inc(tally.answers);
      const series = zoned(label, proto);
      series.duration.merge(tally.seconds.counts, tally.seconds.sum);
      series.requestSize.merge(tally.requestSizes.counts, tally.requestSizes.sum);
      series.responseSize.merge(tally.responseSizes.counts, tally.responseSizes.sum);
      if (tally.dnssecOk > 0) series.dnssec().inc(tally.dnssecOk);
    },
    dropped: (protocol, count = 1) => {
      request("dropped", protocol === "tls" ? "tcp" : protocol, "other").inc(count);
    },
  };
}

export const NO_METRICS: DnsMetrics = {
  answered: () => undefined,
  counted: () => undefined,
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

/** The code's name, or its number. */
export function rcodeLabel(rcode: number): string {
  const known = Object.entries(RCODE).find(([, value]) => value === rcode);
  return known?.[0] ?? String(rcode);
}

/** Seconds: CoreDNS's, from a millisecond, times 2^n. */
const PROGRAMMING_BUCKETS = Array.from({ length: 20 }, (_, n) => 0.001 * 2 ** n);

/** Takes how long changes of headless Services' endpoints took until they were in the answers, in milliseconds. */
export function createProgrammingMetric(metrics: Metrics): (ms: number) => void {
  const histogram = metrics
    .histogram(
      "coredns_kubernetes_dns_programming_duration_seconds",
      "From a change of a headless Service's Pods to the answers that have it.",
      ["service_kind"],
      PROGRAMMING_BUCKETS,
    )
    .with({ service_kind: "headless_with_selector" });
  return (ms) => {
    histogram.observe(ms / 1000);
  };
}
