import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { serviceImportKind } from "../api/multicluster/serviceimport.kind.ts";
import { IMPORTED_SERVICE_LABEL, SOURCE_CLUSTER_LABEL } from "../api/multicluster/serviceimport.ts";
import type { ServiceImport } from "../api/multicluster/serviceimport.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import { inClusterConfig } from "../client/client-config.ts";
import type { ClientConfig } from "../client/client-config.ts";
import { createHttpTransport } from "../client/http-transport.ts";
import { kubeconfigPaths, loadKubeconfig } from "../client/kubeconfig.ts";
import { createClient } from "../client/rest.ts";
import { createInformers } from "../client/shared-informers.ts";
import { CorefileError } from "../core/dns/corefile/corefile-error.ts";
import { parseCorefile } from "../core/dns/corefile/corefile.ts";
import type { KubernetesConfig } from "../core/dns/corefile/kubernetes-directive.ts";
import { SERVICE_NAME_LABEL, TRIGGER_TIME_ANNOTATION } from "../core/endpoints/slice-metadata.ts";
import type { ClusterAccess } from "../dns/follow-cluster.ts";
import { limitedTransport } from "../dns/api-limits.ts";
import { startCorefileServer } from "../dns/corefile-server.ts";
import type { CorefileServer } from "../dns/corefile-server.ts";
import { RateLimiter, countRateLimits, createRateLimitMemory } from "../dns/rate-limit.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { ConfigError } from "./config.ts";
import { corefileFiles } from "./corefile-files.ts";
import type { ListenAddress } from "./config.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { programVersion } from "./version.ts";

/** What `portolan dns` is to do, checked. */
export interface StandaloneDnsConfig {
  readonly listen: ListenAddress;
  /** Undefined: a configuration as kubeadm writes it, for this cluster domain. */
  readonly corefile: string | undefined;
  readonly clusterDomain: string;
  /** Undefined: $KUBECONFIG or ~/.kube/config, or the service account when this runs in a Pod. */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Where health, readiness and metrics are without a Corefile; undefined: nowhere. */
  readonly httpListen: ListenAddress | undefined;
  /** Answers a second over UDP to one source; undefined: all. */
  readonly rateLimit: number | undefined;
  /** Open connections of each socket, and of one source; undefined: as many as is usual. */
  readonly maxConnections: number | undefined;
  readonly maxPerSource: number | undefined;
  /** Threads that answer over UDP; 0: the main one does. */
  readonly workers: number;
}

export interface StandaloneDnsDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Takes the lines of the query log. */
  readonly print: (line: string) => void;
}

/**
 * Runs the DNS server alone, for any cluster whose API can be reached.
 * @throws ConfigError when the Corefile cannot be used, KubeconfigError, or an Error that says what cannot be
 * opened.
 */
export async function startStandaloneDns(
  deps: StandaloneDnsDeps,
  config: StandaloneDnsConfig,
): Promise<CorefileServer> {
  const { log } = deps;
  keepHeapSmall();
  const metrics = new Metrics();
  const nowMs = (): number => performance.now();
  addProcessMetrics(metrics);
  const version = programVersion();
  metrics
    .gauge("coredns_build_info", "The program that answers by these names.", [
      "version",
      "revision",
      "goversion",
    ])
    .with({ version: `portolan-${version}`, revision: "", goversion: "" })
    .set(1);
  return startCorefileServer(
    {
      log,
      metrics,
      nowMs,
      print: deps.print,
      rateLimiter:
        config.rateLimit === undefined ? undefined : limiterOf(config.rateLimit, metrics),
      fastPath:
        config.workers === 0
          ? undefined
          : { threads: config.workers, onThreadStarted: keepHeapSmall },
      tcpLimits: {
        ...(config.maxConnections === undefined ? {} : { maxConnections: config.maxConnections }),
        ...(config.maxPerSource === undefined ? {} : { maxPerSource: config.maxPerSource }),
      },
      openCluster: async (kubernetes) =>
        openCluster(await clientConfigOf(kubernetes, config, deps.env), kubernetes, log, metrics),
      version: `portolan ${version}`,
      load: async () => {
        const { corefile } = config;
        const text =
          corefile === undefined ? usualCorefile(config) : await readFile(corefile, "utf8");
        const imports = corefileFiles(corefile ?? "");
        const { files } = imports;
        try {
          const blocks = parseCorefile(text, { env: deps.env, files });
          return { text: text + imports.texts(), blocks };
        } catch (error) {
          if (!(error instanceof CorefileError)) throw error;
          throw new ConfigError("--corefile", corefile ?? "(built in)", error.message);
        }
      },
    },
    config.listen,
  );
}

function limiterOf(perSecond: number, metrics: Metrics): RateLimiter {
  const memory = createRateLimitMemory(perSecond, randomInt(0x7fff_ffff));
  const limiter = new RateLimiter(memory, Date.now);
  // As long as the program.
  countRateLimits(limiter, metrics);
  return limiter;
}

/**
 * What is kept is kept for long, and the rest is small: room for young objects, which V8 would let grow to 48 MB,
 * saves no time here; garbage among the old ones may be a fifth of what lives, or 2 MB, before it is looked for.
 * V8 forgets the first of these whenever a thread starts.
 */
function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=20");
  setFlagsFromString("--optimize-for-size");
}

/** As kubeadm writes it, but that names of the cluster are never kept, and that stale answers beat none. */
function usualCorefile({ clusterDomain, httpListen }: StandaloneDnsConfig): string {
  const http =
    httpListen === undefined
      ? ""
      : ["health", "ready", "prometheus"]
          .map((name) => `  ${name} ${bracketed(httpListen)}\n`)
          .join("");
  return `. {
  errors
${http}  kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . /etc/resolv.conf {
    policy sequential
    max_concurrent 1000
  }
  cache 30 {
    serve_stale 1h verify
  }
  loop
  loadbalance
}
`;
}

function bracketed({ address, port }: ListenAddress): string {
  return `${address.includes(":") ? `[${address}]` : address}:${String(port)}`;
}

async function clientConfigOf(
  kubernetes: KubernetesConfig,
  config: StandaloneDnsConfig,
  env: StandaloneDnsDeps["env"],
): Promise<ClientConfig> {
  if (kubernetes.endpoint !== undefined) {
    const { tls } = kubernetes;
    return {
      server: kubernetes.endpoint,
      namespace: "default",
      cert: tls === undefined ? undefined : await readFile(tls.cert, "utf8"),
      key: tls === undefined ? undefined : await readFile(tls.key, "utf8"),
      ca: tls?.ca === undefined ? undefined : await readFile(tls.ca, "utf8"),
    };
  }
  const { path, context } = kubernetes.kubeconfig ?? {
    path: config.kubeconfig,
    context: config.context,
  };
  if (path !== undefined) return loadKubeconfig([path], { context });
  return (await inClusterConfig(env)) ?? loadKubeconfig(kubeconfigPaths(env), { context });
}

function openCluster(
  config: ClientConfig,
  { apiLimits }: KubernetesConfig,
  log: Logger,
  metrics: Metrics,
): ClusterAccess {
  const http = createHttpTransport(config);
  const { host } = new URL(config.server);
  const transport = limitedTransport(http.transport, apiLimits, metrics, host);
  const client = createClient({ transport, userAgent: "portolan-dns", log });
  const informers = createInformers({
    client,
    log,
    metrics,
    transform: withoutTheRest,
    // The indexes are the only listeners, and keep what they need: a second copy would be most of the memory.
    remnant: versionOf,
  });
  return {
    informers,
    [Symbol.asyncDispose]: async () => {
      await informers[Symbol.asyncDispose]();
      http[Symbol.dispose]();
    },
  };
}

/** Enough to know which object it is, and which version. */
function versionOf<T extends KubernetesObject>(object: T): T {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace, uid, resourceVersion } = metadata;
  // Nobody looks into it: see openCluster.
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } } as unknown as T;
}

/** What DNS reads of an object: with the rest, 100,000 endpoints would take several times the memory. */
function withoutTheRest<T extends KubernetesObject>(kind: KindDefinition<T>, object: T): T {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, labels, annotations } =
    object.metadata;
  const metadata = { name, namespace, uid, resourceVersion, deletionTimestamp };
  // Each kind's own readers are in core/dns/views.ts, and read nothing else of it.
  const trimmed = (parts: object): T => ({ ...object, metadata, ...parts }) as unknown as T;
  switch (kind.plural) {
    case serviceKind.plural: {
      // The cases tell the kinds apart.
      const { spec } = object as unknown as Service;
      const { type, clusterIP, clusterIPs, externalName, ports } = spec;
      return trimmed({
        spec: { type, clusterIP, clusterIPs, externalName, ports },
        status: undefined,
      });
    }
    case endpointSliceKind.plural: {
      const { endpoints } = object as unknown as EndpointSlice;
      const trigger = annotations?.[TRIGGER_TIME_ANNOTATION];
      return trimmed({
        metadata: {
          ...metadata,
          labels: chosen(labels, SLICE_LABELS),
          annotations: trigger === undefined ? {} : { [TRIGGER_TIME_ANNOTATION]: trigger },
        },
        endpoints: (endpoints ?? []).map(({ addresses, conditions, hostname, targetRef }) => ({
          addresses,
          ...(conditions?.ready === false ? { conditions: NOT_READY } : {}),
          ...(hostname === undefined ? {} : { hostname }),
          ...(targetRef?.name === undefined ? {} : { targetRef: { name: targetRef.name } }),
        })),
      });
    }
    case serviceImportKind.plural: {
      const { spec } = object as unknown as ServiceImport;
      return trimmed({ spec, status: undefined });
    }
    case podKind.plural: {
      const { phase, podIP, podIPs } = (object as unknown as Pod).status ?? {};
      return trimmed({ spec: undefined, status: { phase, podIP, podIPs } });
    }
    default:
      return trimmed({ spec: undefined, status: undefined });
  }
}

/** Those of `names` that are there. */
function chosen(
  labels: Readonly<Record<string, string>> | undefined,
  names: readonly string[],
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = labels?.[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

const SLICE_LABELS = [SERVICE_NAME_LABEL, IMPORTED_SERVICE_LABEL, SOURCE_CLUSTER_LABEL];
const NOT_READY = { ready: false };
