import { parseLabelSelector } from "../../../api/machinery/label-selector-text.ts";
import { formatDomainName, sameName } from "../domain-name.ts";
import type { DomainName } from "../domain-name.ts";
import type { Directive } from "./directive.ts";

/** The `kubernetes` directive: where the cluster's names come from, and which of them are answered. */
export interface KubernetesConfig {
  /** Folded; names below in-addr.arpa and ip6.arpa among them. */
  readonly zones: readonly DomainName[];
  /** Those of the zones that have the names of a set of clusters (KEP-1645). */
  readonly multicluster: readonly DomainName[];
  /** Only these; undefined: all. */
  readonly namespaces: readonly string[] | undefined;
  /** Label selectors as in a list. */
  readonly labels: string | undefined;
  readonly namespaceLabels: string | undefined;
  readonly pods: "disabled" | "insecure" | "verified";
  readonly endpointPodNames: boolean;
  readonly ttlSeconds: number;
  readonly noEndpoints: boolean;
  readonly ignoreEmptyServices: boolean;
  /** The empty name stands for all. */
  readonly fallthrough: readonly DomainName[];
  /** Which cluster: a file and its context, or a URL with files of certificates; else the command line's. */
  readonly kubeconfig: { readonly path: string; readonly context: string | undefined } | undefined;
  readonly endpoint: string | undefined;
  /** How long names may have to wait for a cluster that is not known yet at the start; 0: not at all. */
  readonly startupMs: number;
  /** What the API is asked at most: requests a second on average and at once, and those under way. */
  readonly apiLimits: {
    readonly perSecond: number | undefined;
    readonly burst: number | undefined;
    readonly inFlight: number | undefined;
  };
  readonly tls:
    | { readonly cert: string; readonly key: string; readonly ca: string | undefined }
    | undefined;
}

/** @param blockZones the zones of the server block, which it serves when it names none. */
export function readKubernetes(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
  blockZones: readonly DomainName[],
): KubernetesConfig {
  const named = directive.rest().flatMap(zonesOf);
  const zones = named.length > 0 ? named : blockZones;
  const config: { -readonly [K in keyof KubernetesConfig]: KubernetesConfig[K] } = {
    zones,
    multicluster: [],
    namespaces: undefined,
    labels: undefined,
    namespaceLabels: undefined,
    pods: "disabled",
    endpointPodNames: false,
    ttlSeconds: 5,
    noEndpoints: false,
    ignoreEmptyServices: false,
    fallthrough: [],
    kubeconfig: undefined,
    endpoint: undefined,
    startupMs: 0,
    apiLimits: { perSecond: undefined, burst: undefined, inFlight: undefined },
    tls: undefined,
  };
  directive.options({
    namespaces: (option) => {
      const names = option.rest();
      config.namespaces = names.length === 0 ? undefined : names;
    },
    labels: (option) => {
      config.labels = readSelector(option);
    },
    namespace_labels: (option) => {
      config.namespaceLabels = readSelector(option);
    },
    pods: (option) => {
      config.pods = option.oneOf("a mode", ["disabled", "insecure", "verified"]);
    },
    endpoint_pod_names: () => {
      config.endpointPodNames = true;
    },
    ttl: (option) => {
      config.ttlSeconds = option.integer("number of seconds", 0, 3600);
    },
    noendpoints: () => {
      config.noEndpoints = true;
    },
    ignore: (option) => {
      option.oneOf("what to ignore", ["empty_service"]);
      config.ignoreEmptyServices = true;
    },
    fallthrough: (option) => {
      const into = option.rest().flatMap(zonesOf);
      config.fallthrough = into.length === 0 ? [[]] : into;
    },
    multicluster: (option) => {
      const sets = option.rest().flatMap(zonesOf);
      if (sets.length === 0) option.fail("a zone is missing, such as clusterset.local");
      for (const set of sets) {
        // As CoreDNS: a zone that nobody looks for here would only seem to be served.
        if (!zones.some((zone) => sameName(zone, set))) {
          const text = formatDomainName(set);
          option.fail(`${text} has to be among the zones of kubernetes as well`);
        }
        if (set.at(-1) === "arpa") option.fail("addresses have no zone of a clusterset's own");
      }
      config.multicluster = sets;
    },
    kubeconfig: (option) => {
      config.kubeconfig = { path: option.required("a file"), context: option.optional() };
    },
    endpoint: (option) => {
      const url = option.required("a URL");
      if (!/^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\/\S*)?$/i.test(url)) {
        option.fail(`${JSON.stringify(url)} is no URL such as https://192.0.2.1:6443`);
      }
      config.endpoint = url;
    },
    startup_timeout: (option) => {
      config.startupMs = option.duration("a duration");
    },
    apiserver_qps: (option) => {
      const text = option.required("a number of requests a second");
      const perSecond = /^\d{1,6}(?:\.\d{1,6})?$/.test(text) ? Number(text) : 0;
      if (perSecond <= 0) option.fail(`${JSON.stringify(text)} is no number above 0`);
      config.apiLimits = { ...config.apiLimits, perSecond };
    },
    apiserver_burst: (option) => {
      const burst = option.integer("number of requests", 1, 1_000_000);
      config.apiLimits = { ...config.apiLimits, burst };
    },
    apiserver_max_inflight: (option) => {
      const inFlight = option.integer("number of requests", 1, 1_000_000);
      config.apiLimits = { ...config.apiLimits, inFlight };
    },
    tls: (option) => {
      const cert = option.required("the file of a certificate");
      config.tls = { cert, key: option.required("the file of its key"), ca: option.optional() };
    },
  });
  if (config.namespaces !== undefined && config.namespaceLabels !== undefined) {
    directive.fail("namespaces and namespace_labels exclude each other");
  }
  const isForward = (zone: DomainName): boolean => zone.at(-1) !== "arpa";
  if (!zones.some(isForward))
    directive.fail("a zone for Services is missing, such as cluster.local");
  return config;
}

/** The text of a selector, which the API will read: what is wrong with it is said here, with its line. */
function readSelector(option: Directive): string {
  const text = option.rest().join(" ");
  if (text === "") option.fail("a selector is missing");
  const parsed = parseLabelSelector(text);
  if (parsed.kind === "parsed") return text;
  return option.fail(`${JSON.stringify(text)} is no label selector: ${parsed.message}`);
}
