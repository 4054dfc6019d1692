import type { Informers } from "../client/informer.ts";
import { foldName, parseDomainName } from "../core/dns/domain-name.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import { isUnspecified } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { startForwarder } from "./forwarder.ts";
import { feedIndex } from "./index-feed.ts";
import { listenBoth } from "./listen-both.ts";
import type { ListenAddress, Respond } from "./listener.ts";
import { NO_METRICS, createDnsMetrics } from "./metrics.ts";
import { createResponder, guarded } from "./responder.ts";
import { resolvConfUpstreams } from "./upstream-source.ts";
import type { UpstreamSource } from "./upstream-source.ts";
import type { Upstream } from "./upstream.ts";

export interface DnsDeps {
  readonly informers: Pick<Informers, "of">;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

export interface DnsOptions {
  /** Where to listen, on UDP and TCP; port 0 takes one that is free on both. */
  readonly listen: ListenAddress;
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
}

export interface DnsServer extends AsyncDisposable {
  readonly address: IpAddress;
  readonly port: Port;
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
  const listeners = await listenBoth(
    { respond: guarded((...asked) => respond(...asked), log), log },
    options.listen,
  );
  const bound: ListenAddress = { address: options.listen.address, port: listeners.port };
  const feed = feedIndex(deps.informers);
  const forwarder = startForwarder({
    upstreams: upstreamsOf(options, bound, log, nowMs),
    log,
    nowMs,
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
  respond = createResponder({ metrics, nowMs }, [
    {
      zones: [[]],
      cluster: { index: () => feed.index, zone },
      forwards: [{ from: [], except: [], forwarder }],
    },
  ]);
  log.info("dns listens", { address: formatHostPort(bound.address, bound.port), domain });
  return {
    ...bound,
    [Symbol.asyncDispose]: async () => {
      await listeners[Symbol.asyncDispose]();
      await forwarder[Symbol.asyncDispose]();
      feed[Symbol.dispose]();
    },
  };
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
