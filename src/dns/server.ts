import type { Informers } from "../client/informer.ts";
import { HOST_CACHE } from "../core/dns/corefile/cache-directive.ts";
import { foldName, parseDomainName } from "../core/dns/domain-name.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import { isUnspecified } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { formatHostPort, parsePort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { AnswerCache } from "./answer-cache.ts";
import { CompiledAnswers } from "./compiled-answers.ts";
import type { FastPathOptions } from "./compiled-answers.ts";
import { startForwarder } from "./forwarder.ts";
import { listenHttp } from "./http-endpoints.ts";
import { feedIndex } from "./index-feed.ts";
import type { IndexFeed } from "./index-feed.ts";
import { listenBoth, listenTls } from "./listen-both.ts";
import type { ListenAddress, Listener, Respond } from "./listener.ts";
import { LoopGuard } from "./loop-guard.ts";
import { NO_METRICS, createDnsMetrics, createProgrammingMetric } from "./metrics.ts";
import { createResponder, guarded } from "./responder.ts";
import type { CertificateSource } from "./serving-certificate.ts";
import { threadsFor } from "./udp-threads.ts";
import { resolvConfUpstreams } from "./upstream-source.ts";
import type { UpstreamSource } from "./upstream-source.ts";
import type { Upstream } from "./upstream.ts";

export interface DnsDeps {
  readonly informers: Pick<Informers, "of">;
  /** What is known of the cluster, for servers that share it; the caller's to dispose. Default one of its own. */
  readonly feed?: IndexFeed | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

export interface DnsOptions {
  /** Where to listen, on UDP and TCP; port 0 takes one that is free on both. */
  readonly listen: ListenAddress;
  /**
   * Where to listen as well, for whoever comes through the cluster's Service: the node's address. Another port is
   * taken when this one is not free. CoreDNS's metrics are served on a free port there, and TLS as well if at all.
   */
  readonly nodeListen?: ListenAddress | undefined;
  /** Where to answer over TLS as well (RFC 7858), and with which certificate. */
  readonly tls?:
    | { readonly listen: ListenAddress; readonly certificate: CertificateSource }
    | undefined;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string | undefined;
  /** Ranges of Services and Pods, whose reverse names wait for the first sync. */
  readonly reverseCidrs: readonly Cidr[];
  /** Who is asked for other names, instead of the servers of `hostResolvConf`. */
  readonly upstreams?: readonly Upstream[] | undefined;
  /** Default `/etc/resolv.conf`. */
  readonly hostResolvConf?: string | undefined;
  /** Of cluster records, 0..3600; default 5 (DNS-022). */
  readonly ttlSeconds?: number | undefined;
  /** Default `insecure`, as in kubeadm's Corefile (DNS-027). */
  readonly podRecords?: ZoneOptions["podRecords"] | undefined;
  /** Whether threads of their own answer over UDP, some hundred thousand questions a second. */
  readonly fastPath?: FastPathOptions | undefined;
}

export interface DnsServer extends AsyncDisposable {
  readonly address: IpAddress;
  readonly port: Port;
  /** The ports on the node's address; those of the first address when there is none. */
  readonly nodePort: number;
  readonly metricsPort: number;
  /** Undefined when it does not speak TLS. */
  readonly tlsPort: number | undefined;
  /** The same on the node's address; undefined when there is none. */
  readonly nodeTlsPort: number | undefined;
}

/** An index for {@link startDns} that follows the informers; at 100,000 endpoints it takes some 60 MB. */
export function dnsFeed(deps: Pick<DnsDeps, "informers" | "metrics">): IndexFeed {
  return feedIndex(deps.informers, {
    onProgrammed: deps.metrics === undefined ? undefined : createProgrammingMetric(deps.metrics),
  });
}

/**
 * Serves the cluster's names from what informers hold, and has the host's resolvers answer all others. It
 * answers as soon as it listens: SERVFAIL for cluster names until the informers have synced (DNS-028).
 * Disposing closes the sockets and gives up questions that wait; the informers are the caller's.
 * @throws Error when the cluster domain is no domain name, DnsListenError with the socket's code (EADDRINUSE,
 * EACCES) when the address cannot be bound.
 */
export async function startDns(deps: DnsDeps, options: DnsOptions): Promise<DnsServer> {
  const log = deps.log.with({ component: "dns" });
  const nowMs = (): number => performance.now();
  const domain = options.clusterDomain ?? "cluster.local";
  const clusterDomain = foldName(parseDomainName(domain) ?? []);
  if (clusterDomain.length === 0) throw new Error(`cluster domain ${domain} is no domain name`);

  // Whoever asks before the rest of this function ran is answered by nobody, and asks again.
  let respond: Respond = () => undefined;
  const compiled = options.fastPath && new CompiledAnswers(options.fastPath, deps.metrics);
  const listening = { respond: guarded((...asked) => respond(...asked), log), log };
  const opened: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  };
  const udp = compiled && threadsFor(compiled);
  const listeners = await listenBoth({ ...listening, udp }, options.listen);
  opened.push(listeners);
  let node: NodePorts = { nodePort: listeners.port, metricsPort: 0 };
  let tlsPort: number | undefined;
  let nodeTlsPort: number | undefined;
  try {
    const { nodeListen, tls } = options;
    if (nodeListen !== undefined) {
      node = await listenOnNode(listening, nodeListen, deps.metrics, opened);
    }
    if (tls !== undefined) {
      const secure = await listenTls(listening, tls.listen, tls.certificate);
      opened.push(secure);
      tlsPort = secure.port;
    }
    if (tls !== undefined && nodeListen !== undefined) {
      const { address } = nodeListen;
      const port = parsePort(tlsPort ?? 0) ?? tls.listen.port;
      const secure = await whereFree({ address, port }, (listen) =>
        listenTls(listening, listen, tls.certificate),
      );
      opened.push(secure);
      nodeTlsPort = secure.port;
    }
  } catch (error) {
    await close();
    throw error;
  }
  const bound: ListenAddress = { address: options.listen.address, port: listeners.port };
  const feed = deps.feed ?? dnsFeed(deps);
  const loopGuard = new LoopGuard(log, nowMs);
  const forwarder = startForwarder({
    upstreams: upstreamsOf(options, bound, log, nowMs),
    log,
    nowMs,
    cache: new AnswerCache(HOST_CACHE),
    stale: HOST_CACHE.serveStale,
    loopGuard,
  });
  const zone: ZoneOptions = {
    zones: [clusterDomain],
    reverseZones: REVERSE_ZONES,
    fallthrough: REVERSE_ZONES,
    reverseCidrs: options.reverseCidrs,
    autopath: undefined,
    ttlSeconds: options.ttlSeconds ?? 5,
    // As BIND's and CoreDNS's habit is, so that a server started later has the higher serial.
    firstSerial: Math.floor(Date.now() / 1000),
    podRecords: options.podRecords ?? "insecure",
    ignoresEmptyServices: false,
    serverAddresses: isUnspecified(bound.address) ? [] : [bound.address],
  };
  const metrics = deps.metrics === undefined ? NO_METRICS : createDnsMetrics(deps.metrics, bound);
  const blocks = [
    {
      zones: [[]],
      cluster: { index: () => feed.index, zone },
      forwards: [{ from: [], except: [], forwarder }],
    },
  ];
  compiled?.use(blocks, metrics);
  const rateLimiter = options.fastPath?.rateLimiter;
  respond = createResponder({ metrics, nowMs, loopGuard, rateLimiter }, blocks);
  log.info("dns listens", { address: formatHostPort(bound.address, bound.port), domain });
  return {
    ...bound,
    ...node,
    tlsPort,
    nodeTlsPort,
    [Symbol.asyncDispose]: async () => {
      await close();
      compiled?.[Symbol.dispose]();
      await forwarder[Symbol.asyncDispose]();
      if (deps.feed === undefined) feed[Symbol.dispose]();
    },
  };
}

interface NodePorts {
  readonly nodePort: number;
  readonly metricsPort: number;
}

async function listenOnNode(
  deps: Parameters<typeof listenBoth>[0],
  listen: ListenAddress,
  metrics: Metrics | undefined,
  opened: AsyncDisposable[],
): Promise<NodePorts> {
  const listeners = await whereFree(listen, (on) => listenBoth(deps, on));
  opened.push(listeners);
  const paths = new Map([
    ["/metrics", () => ({ status: 200, text: ownMetrics(metrics?.render() ?? "") })],
  ]);
  const http = await listenHttp(deps, { ...listen, port: FREE_PORT ?? listen.port }, () => paths);
  opened.push(http);
  return { nodePort: listeners.port, metricsPort: http.port };
}

const FREE_PORT = parsePort(0);

/** On the port, or on a free one when somebody has that. */
async function whereFree(
  listen: ListenAddress,
  open: (listen: ListenAddress) => Promise<Listener>,
): Promise<Listener> {
  return open(listen).catch((error: unknown) => {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    if (!isTaken || FREE_PORT === undefined) throw error;
    return open({ ...listen, port: FREE_PORT });
  });
}

/** What a DNS server tells anybody, of all that this process counts. */
function ownMetrics(text: string): string {
  return text
    .split("\n")
    .filter((line) => /^(?:# (?:HELP|TYPE) )?coredns_/.test(line))
    .map((line) => `${line}\n`)
    .join("");
}

const REVERSE_ZONES = [
  ["in-addr", "arpa"],
  ["ip6", "arpa"],
];

function upstreamsOf(
  options: DnsOptions,
  bound: ListenAddress,
  log: Logger,
  nowMs: () => number,
): UpstreamSource {
  const { upstreams, hostResolvConf = "/etc/resolv.conf" } = options;
  if (upstreams !== undefined) return () => Promise.resolve(upstreams);
  return resolvConfUpstreams({ log, nowMs }, hostResolvConf, bound);
}
