export type MetricType = "counter" | "gauge" | "histogram";

/**
 * Prefixes of names that others gave, and that dashboards made for them expect: client-go's queues and
 * requests and elections, Node's process, CoreDNS, kube-proxy, controllers, the API server. Their
 * endings are theirs as well.
 */
const BORROWED = [
  "apiserver_",
  "coredns_",
  "endpoint_slice_",
  "kubeproxy_",
  "leader_election_",
  "nodejs_",
  "pod_gc_collector_",
  "process_",
  "rest_client_",
  "taint_eviction_controller_",
  "workqueue_",
];

/** Units that are not base units (https://prometheus.io/docs/practices/naming/). */
const WRONG_UNITS =
  /_(ms|milliseconds|micros|microseconds|minutes|hours|kb|kilobytes|mb|percent)(_|$)/;

/** What is wrong with a metric's name; undefined when it follows the conventions. */
export function metricNameProblem(name: string, type: MetricType): string | undefined {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) return "must be lower-case words joined by _";
  if (BORROWED.some((prefix) => name.startsWith(prefix))) return undefined;
  if (!name.startsWith("portolan_")) return "must start with portolan_";
  if (WRONG_UNITS.test(name)) return "must use base units: seconds, bytes, ratio";
  if (type === "counter" && !name.endsWith("_total")) return "a counter must end in _total";
  if (type !== "counter" && name.endsWith("_total")) return `a ${type} must not end in _total`;
  if (/_(bucket|sum|count)$/.test(name)) return "must not end in what a histogram adds";
  if (type === "histogram" && !/_(seconds|bytes|size)$/.test(name)) {
    return "a histogram must end in its unit: _seconds, _bytes or _size";
  }
  return undefined;
}
