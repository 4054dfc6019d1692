import { readFile } from "node:fs/promises";
import { Disposables } from "../async/disposables.ts";
import type { Informers } from "../client/informer.ts";
import type { BlockConfig } from "../core/dns/corefile/corefile.ts";
import type { KubernetesConfig } from "../core/dns/corefile/kubernetes-directive.ts";
import { sameName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import { parseSearchDomains } from "../core/dns/resolv-conf.ts";
import type { IpAddress } from "../net/address.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { feedClusterset } from "./clusterset-feed.ts";
import type { ClustersetFeed } from "./clusterset-feed.ts";
import { feedIndex } from "./index-feed.ts";
import type { IndexFeed } from "./index-feed.ts";
import { createProgrammingMetric } from "./metrics.ts";
import type { ClusterNames } from "./server-block.ts";

/** What is known of the cluster of a `kubernetes` directive. Disposing stops its watches. */
export interface ClusterAccess extends AsyncDisposable {
  readonly informers: Pick<Informers, "of">;
}

export interface ClusterDeps {
  /** @throws Error when there is no way to that cluster. */
  readonly openCluster: (config: KubernetesConfig) => Promise<ClusterAccess>;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The names of a `kubernetes` directive, kept up to date. */
export interface FollowedCluster extends AsyncDisposable {
  readonly names: ClusterNames;
  /** Those of `multicluster`. */
  readonly clusterset: ClusterNames | undefined;
  /** Begins to follow the cluster, once; until then its names are not known. */
  follow(): void;
  /** Whether all is known that can be: the kind of `multicluster` may be missing in the API. */
  readonly isReady: boolean;
  /** Follows it, and resolves when `isReady`. */
  synced(signal: AbortSignal): Promise<void>;
}

const HOST_RESOLV_CONF = "/etc/resolv.conf";

/** @param serverAddresses where this server can be asked. */
export async function followCluster(
  deps: ClusterDeps,
  block: Pick<BlockConfig, "autopath">,
  config: KubernetesConfig,
  serverAddresses: readonly IpAddress[],
): Promise<FollowedCluster> {
  const opened = new Disposables();
  const access = opened.add(await deps.openCluster(config));
  const options = {
    namespaces: config.namespaces,
    labels: config.labels,
    namespaceLabels: config.namespaceLabels,
    usesPodNames: config.endpointPodNames,
    withoutEndpoints: config.noEndpoints,
    withPods: config.pods === "verified",
    onProgrammed: createProgrammingMetric(deps.metrics),
  };
  const { multicluster } = config;
  const isOfSet = multicluster.length > 0;
  let followed: { readonly feed: IndexFeed; readonly set: ClustersetFeed | undefined } | undefined;
  const follow = (): NonNullable<typeof followed> => {
    followed ??= {
      feed: opened.add(feedIndex(access.informers, options)),
      set: isOfSet
        ? opened.add(feedClusterset(access.informers, deps.log, multicluster, options))
        : undefined,
    };
    return followed;
  };
  const search = block.autopath
    ? parseSearchDomains(await readFile(HOST_RESOLV_CONF, "utf8").catch(() => ""))
    : undefined;
  const { own, set } = zonesOf(config, search, serverAddresses);
  return {
    names: { index: () => followed?.feed.index, zone: own },
    clusterset: isOfSet ? { index: () => followed?.set?.index, zone: set } : undefined,
    get isReady() {
      return followed?.feed.index !== undefined && followed.set?.isSettled !== false;
    },
    follow: () => void follow(),
    synced: async (signal) => {
      const { feed, set: imported } = follow();
      await Promise.all([feed.synced(signal), imported?.settled(signal)]);
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/**
 * How the names of the cluster, and of the set of clusters that it is in, are answered. The reverse zones are
 * both's: an address that this cluster has no name for is the set's to answer (KEP-1645).
 */
function zonesOf(
  config: KubernetesConfig,
  search: readonly DomainName[] | undefined,
  serverAddresses: readonly IpAddress[],
): { readonly own: ZoneOptions; readonly set: ZoneOptions } {
  const { multicluster, fallthrough } = config;
  const isReverse = (zone: DomainName): boolean => zone.at(-1) === "arpa";
  const isOfSet = (zone: DomainName): boolean => multicluster.some((each) => sameName(each, zone));
  const zones = config.zones.filter((zone) => !isReverse(zone) && !isOfSet(zone));
  const reverseZones = config.zones.filter(isReverse);
  const shared = {
    reverseZones,
    reverseCidrs: undefined,
    ttlSeconds: config.ttlSeconds,
    firstSerial: Math.floor(Date.now() / 1000),
    podRecords: config.pods,
    ignoresEmptyServices: config.ignoreEmptyServices,
    serverAddresses,
  };
  return {
    own: {
      ...shared,
      zones,
      // Without a zone of its own the cluster has no names that an address could lead to.
      reverseZones: zones.length === 0 ? [] : reverseZones,
      fallthrough: multicluster.length === 0 ? fallthrough : [...fallthrough, ...reverseZones],
      autopath: search && { search },
    },
    set: { ...shared, zones: multicluster, fallthrough, isClusterset: true, autopath: undefined },
  };
}
