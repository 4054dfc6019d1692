import { hostname, networkInterfaces } from "node:os";
import { Disposables } from "../async/disposables.ts";
import type { BlockConfig } from "../core/dns/corefile/corefile.ts";
import type { ForwardConfig } from "../core/dns/corefile/forward-directive.ts";
import { formatDomainName } from "../core/dns/domain-name.ts";
import { isUnspecified, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { formatHostPort, parsePort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createAccessMetrics } from "./access-metrics.ts";
import { AnswerCache } from "./answer-cache.ts";
import { followCertificateFiles, readPem } from "./certificate-files.ts";
import { createErrorLog } from "./error-log.ts";
import { createForwardMetrics } from "./forward-metrics.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "./forwarder.ts";
import { followCluster } from "./follow-cluster.ts";
import type { ClusterDeps, FollowedCluster } from "./follow-cluster.ts";
import { followHosts } from "./hosts-file.ts";
import type { ListenAddress } from "./listener.ts";
import { LoopGuard } from "./loop-guard.ts";
import { createQueryLog } from "./query-log.ts";
import type { ForwardRule, ServerBlock } from "./server-block.ts";
import type { CertificateSource } from "./serving-certificate.ts";
import type { UpstreamTls } from "./upstream.ts";
import { resolvConfUpstreams } from "./upstream-source.ts";
import type { UpstreamSource } from "./upstream-source.ts";
import { followWeights } from "./weights-file.ts";

export interface EngineDeps extends ClusterDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Takes the lines of the query log. */
  readonly print: (line: string) => void;
  readonly nowMs: () => number;
  /** What this program calls itself. */
  readonly version: string;
}

/** A socket, and what is answered on it. */
export interface SocketPlan {
  /** The same for the same socket in another engine. */
  readonly id: string;
  readonly scheme: "dns" | "tls";
  readonly listen: ListenAddress;
  readonly blocks: readonly ServerBlock[];
  readonly certificate: CertificateSource | undefined;
}

/** All that one version of a Corefile describes, but for the sockets. */
export interface Engine extends AsyncDisposable {
  readonly sockets: readonly SocketPlan[];
  readonly loopGuard: LoopGuard | undefined;
  /** Begins to follow the clusters; until then their names are not known. */
  follow(): void;
  /** The plugins that are not ready: `kubernetes` until its cluster is known. */
  notReady(): readonly string[];
  synced(signal: AbortSignal): Promise<void>;
}

const TLS_PORT = parsePort(853);

/**
 * Builds what the server blocks describe.
 * @param listen where blocks listen that do not say it themselves.
 * @throws Error that names the file or cluster that cannot be read.
 */
export async function buildEngine(
  deps: EngineDeps,
  configs: readonly BlockConfig[],
  listen: ListenAddress,
): Promise<Engine> {
  const placed = configs.map((config) => ({
    config,
    listens: listensOf(config, listen, networkInterfaces()),
  }));
  checkPlaces(placed);
  const opened = new Disposables();
  try {
    const guard = configs.some(({ detectsLoops }) => detectsLoops)
      ? new LoopGuard(deps.log, deps.nowMs)
      : undefined;
    const clusters: FollowedCluster[] = [];
    const sockets = new Map<string, SocketPlan>();
    for (const { config, listens } of placed) {
      const built = await buildBlock(deps, config, listens, guard, opened, clusters);
      const certificate = config.tls && (await followCertificateFiles(deps.log, config.tls));
      if (certificate !== undefined) opened.add(certificate);
      for (const { scheme, zones, on } of listens) {
        const id = socketId(scheme, on);
        const block: ServerBlock = { ...built, zones };
        const known = sockets.get(id);
        sockets.set(id, {
          id,
          scheme,
          listen: on,
          blocks: [...(known?.blocks ?? []), block],
          certificate: scheme === "tls" ? (known?.certificate ?? certificate?.source) : undefined,
        });
      }
    }
    return {
      sockets: [...sockets.values()],
      loopGuard: guard,
      follow: () => {
        for (const cluster of clusters) cluster.follow();
      },
      notReady: () => (clusters.every(({ isReady }) => isReady) ? [] : ["kubernetes"]),
      synced: async (signal) => {
        await Promise.all(clusters.map((cluster) => cluster.synced(signal)));
      },
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

interface BlockListen {
  readonly scheme: "dns" | "tls";
  readonly zones: ServerBlock["zones"];
  readonly on: ListenAddress;
}

function socketId(scheme: BlockListen["scheme"], { address, port }: ListenAddress): string {
  return `${scheme}://${formatHostPort(address, port)}`;
}

/**
 * What the Corefile's text alone does not show: where its blocks meet.
 * @throws Error when two blocks are for one zone at one socket, or want different certificates there.
 */
function checkPlaces(
  placed: readonly { readonly config: BlockConfig; readonly listens: readonly BlockListen[] }[],
): void {
  const zonesAt = new Set<string>();
  const tlsAt = new Map<string, string>();
  for (const { config, listens } of placed) {
    for (const { scheme, zones, on } of listens) {
      const id = socketId(scheme, on);
      for (const zone of zones.map(formatDomainName)) {
        if (zonesAt.has(`${id} ${zone}`)) {
          const remedy = "give one another port or bind";
          throw new Error(`two server blocks for ${zone} listen on ${id}; ${remedy}`);
        }
        zonesAt.add(`${id} ${zone}`);
      }
      if (scheme !== "tls") continue;
      const tls = JSON.stringify(config.tls);
      // A client says after the handshake which name it wants: whoever let it in did so for all.
      if ((tlsAt.get(id) ?? tls) !== tls) {
        throw new Error(
          `server blocks on ${id} have different tls; give each another port or bind`,
        );
      }
      tlsAt.set(id, tls);
    }
  }
}

/** @throws Error when there is no interface of a name that `bind` has. */
function listensOf(
  { keys, bind }: BlockConfig,
  listen: ListenAddress,
  interfaces: ReturnType<typeof networkInterfaces>,
): readonly BlockListen[] {
  const bound = bind.flatMap((target) => {
    if (target.kind === "address") return [target.address];
    const found = interfaces[target.name];
    if (found === undefined) {
      const known = Object.keys(interfaces).join(", ");
      throw new Error(
        `bind: there is no interface ${target.name} with addresses; there are ${known}`,
      );
    }
    // Those of one link need to be told apart by it, which a socket's address here does not say.
    return found.flatMap(({ address }) =>
      address.startsWith("fe80:") ? [] : (parseIpAddress(address) ?? []),
    );
  });
  const addresses = bind.length > 0 ? [...new Set(bound)] : [listen.address];
  return keys.flatMap(({ scheme, zones, port }) =>
    addresses.map((address) => ({
      scheme,
      zones,
      on: { address, port: port ?? (scheme === "tls" ? (TLS_PORT ?? listen.port) : listen.port) },
    })),
  );
}

async function buildBlock(
  deps: EngineDeps,
  config: BlockConfig,
  listens: readonly BlockListen[],
  guard: LoopGuard | undefined,
  opened: Disposables,
  clusters: FollowedCluster[],
): Promise<Omit<ServerBlock, "zones">> {
  const { log } = deps;
  const hosts =
    config.hosts === undefined ? undefined : await followHosts(log, deps.metrics, config.hosts);
  if (hosts !== undefined) opened.add(hosts);
  const [first] = listens;
  const server = first === undefined ? "" : socketId(first.scheme, first.on);
  const errors =
    config.errors === undefined ? undefined : createErrorLog(log, config.errors.consolidate);
  if (errors !== undefined) opened.add(errors);
  const { balance } = config;
  const weights =
    balance?.weighted === undefined
      ? undefined
      : await followWeights(log, balance.weighted.path, balance.weighted.reloadMs);
  if (weights !== undefined) opened.add(weights);
  const forwardMetrics = createForwardMetrics(deps.metrics, server, cacheLabel(config));
  const cache =
    config.cache === undefined ? undefined : new AnswerCache(config.cache, forwardMetrics.cache);
  if (cache !== undefined) opened.add(forwardMetrics.watch(cache));
  const forwards: ForwardRule[] = [];
  for (const forward of config.forwards) {
    const forwarder = startForwarder(
      {
        upstreams: await upstreamsOf(deps, forward, first?.on),
        log,
        nowMs: deps.nowMs,
        cache,
        stale: config.cache?.serveStale,
        loopGuard: config.detectsLoops ? guard : undefined,
        metrics: forwardMetrics,
      },
      {
        ...FORWARDER_DEFAULTS,
        ...forward,
        maxInFlight: forward.maxConcurrent ?? MAX_IN_FLIGHT,
      },
    );
    opened.add(forwarder);
    const { from, except, next } = forward;
    forwards.push({ from, except, next, forwarder });
  }
  const cluster =
    config.kubernetes === undefined
      ? undefined
      : await followCluster(deps, config, config.kubernetes, addressesOf(listens));
  if (cluster !== undefined) {
    opened.add(cluster);
    clusters.push(cluster);
  }
  return {
    plugins: config.plugins,
    rewrites: config.rewrites,
    hosts,
    cluster: cluster?.names,
    clusterset: cluster?.clusterset,
    forwards,
    transfers: config.transfers,
    rotates: balance !== undefined,
    order:
      balance === undefined || (balance.prefer.length === 0 && weights === undefined)
        ? undefined
        : () => ({ prefer: balance.prefer, weights: weights?.weights }),
    access: config.access,
    onAccess:
      config.access.length === 0
        ? undefined
        : createAccessMetrics(deps.metrics, server, zoneLabel(first)),
    templates: config.templates,
    maxUdpBytes: config.maxUdpBytes,
    isMinimal: config.isMinimal,
    chaos: config.chaos && {
      version: config.chaos.version ?? deps.version,
      authors: config.chaos.authors,
      hostname: hostname(),
    },
    log:
      config.log.length === 0
        ? undefined
        : createQueryLog(
            config.log,
            deps.print,
            new Set(listens.map(({ on }) => on.address)).size === 1 ? first?.on.address : undefined,
          ),
    logsFailuresOnly: config.log.every(({ classes }) => classes.every((each) => each === "error")),
    onFailure: errors?.note,
  };
}

/** Different questions that may wait for upstream servers when the Corefile does not bound them. */
const MAX_IN_FLIGHT = 10_000;

/** The servers that are named, and those of files, which are followed. */
async function upstreamsOf(
  { log, nowMs }: EngineDeps,
  { to, tls, tlsServerName }: ForwardConfig,
  self: ListenAddress | undefined,
): Promise<UpstreamSource> {
  const upstreamTls: UpstreamTls = {
    serverName: tlsServerName,
    ca: tls?.ca === undefined ? undefined : await readPem(tls.ca),
    cert: tls?.cert === undefined ? undefined : await readPem(tls.cert),
    key: tls?.key === undefined ? undefined : await readPem(tls.key),
  };
  const sources = to.map((target): UpstreamSource => {
    if (target.kind === "file") return resolvConfUpstreams({ log, nowMs }, target.path, self);
    const { address, port, isTls } = target;
    const upstream = { address, port, ...(isTls ? { tls: upstreamTls } : {}) };
    return () => Promise.resolve([upstream]);
  });
  return async () => (await Promise.all(sources.map((source) => source()))).flat();
}

/** Addresses that a client can ask. */
function addressesOf(listens: readonly BlockListen[]): readonly IpAddress[] {
  return [...new Set(listens.map(({ on }) => on.address))].filter((each) => !isUnspecified(each));
}

/** The zones whose answers a block keeps, as CoreDNS joins them. */
function cacheLabel({ cache, keys }: BlockConfig): string {
  const isWide = cache === undefined || cache.zones.some((zone) => zone.length === 0);
  const zones = isWide ? keys.flatMap((key) => key.zones) : cache.zones;
  return zones.map(formatDomainName).join(",");
}

function zoneLabel(first: BlockListen | undefined): string {
  return formatDomainName(first?.zones[0] ?? []);
}
