import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { servedKinds } from "../api/kinds.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import { openAuditLog } from "../apiserver/audit.ts";
import type { AuditLog } from "../apiserver/audit.ts";
import { renewingCertificate } from "../apiserver/certificates.ts";
import type { ClusterCertificates } from "../apiserver/certificates.ts";
import { publishedAddress } from "../apiserver/cluster-objects.ts";
import { startAgent } from "../agent/agent.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { renderKubeconfig } from "../client/kubeconfig.render.ts";
import { startDns } from "../dns/server.ts";
import type { DnsOptions } from "../dns/server.ts";
import { isLoopback } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrAddress, cidrFamily, singleAddress } from "../net/cidr.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ClusterConfig } from "./config.ts";
import { startControllers } from "./controllers.ts";
import { AGENT_FOLDER, occupiedRanges, sweepAbandoned } from "./abandoned.ts";
import { agreedRanges, openDataDir, readRanges, writeRanges } from "./data-dir.ts";
import { Disposables } from "../async/disposables.ts";
import { dnsNames, publishKubeDns } from "./kube-dns.ts";
import { claimRanges } from "./loopback-ranges.ts";
import type { LoopbackRanges } from "./loopback-ranges.ts";
import { applyManifests, readManifests } from "./manifests.ts";
import type { ApplyResult } from "./manifests.ts";
import { isOwnUser, serveApi } from "./serve-api.ts";
import { programVersion } from "./version.ts";
import { startLoopbackProxy } from "./loopback-proxy.ts";

/** A running cluster in this process. Disposing stops its Pods, closes its ports and removes what is temporary. */
export interface Cluster extends AsyncDisposable {
  /** Path of the admin's kubeconfig. */
  readonly kubeconfig: string;
  /** URL of the Kubernetes API. */
  readonly api: string;
  /** `IP:PORT` of the cluster's DNS server, UDP and TCP. */
  readonly dns: string;
  /** `IP:PORT` of DNS over TLS; undefined when it is not served. */
  readonly dnsTls: string | undefined;
  readonly clusterDomain: string;
  readonly client: ApiClient;
  /** What became of the manifests that were to be applied at start. */
  readonly applied: ApplyResult;
}

const CERTIFICATES_FOLDER = "certificates";

/** The one node of loopback mode. */
const NODE_NAME = "local";

/**
 * Runs everything in this process in loopback mode and resolves when it serves: API, DNS, load balancing and a
 * node for Pods. What was started is ended again when a later part cannot start.
 * @throws an error whose message says what to do: DataDirError, RangeCollisionError, ListenError, ...
 */
export async function startAllInOne(
  config: ClusterConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<Cluster> {
  const opened = new Disposables();
  try {
    return await start(config, deps.log, deps.signal, opened);
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(
  config: ClusterConfig,
  log: Logger,
  signal: AbortSignal,
  opened: Disposables,
): Promise<Cluster> {
  const dataDir = opened.add(await openDataDir(config.dataDir));
  if (config.dataDir === undefined) opened.add(sweepAbandoned(log));
  const manifests = readManifests(config.manifests);
  const ranges = await holdRanges(config, dataDir.path, opened);
  const nodeAddress = cidrAddress(ranges.podCidr, 1n);
  const served = await serveApi(
    {
      listen: config.apiListen,
      clusterDomain: config.clusterDomain,
      storeDir: join(dataDir.path, "store"),
      certificatesDir: join(dataDir.path, CERTIFICATES_FOLDER),
      apiServerNames: [config.apiListen.address, cidrAddress(ranges.serviceCidr, 1n)],
      agentNames: [NODE_NAME, nodeAddress],
      kinds: kindsOf(config, ranges),
      serviceCidrs: [ranges.serviceCidr],
      nodePortRange: config.nodePortRange,
      loopbackPodCidrs: [ranges.podCidr],
      loopbackWriters: isOwnUser,
      denyServiceExternalIps: config.denyServiceExternalIps,
      audit: await openedAudit(config, log, opened),
    },
    { log },
    opened,
  );
  const { certificates, informers, client, metrics, port } = served;
  const parts = { client: served.own, informers, log, metrics };
  const dns = await startParts(parts, config, ranges, dataDir.path, certificates, opened, signal);
  await synced(informers, signal);

  const api = `https://${formatHostPort(config.apiListen.address, port)}`;
  const kubeconfig = config.kubeconfig ?? join(dataDir.path, "admin.kubeconfig");
  await writeKubeconfig(kubeconfig, api, certificates);
  const applied = await applyManifests(client, await manifests, signal);
  return {
    kubeconfig,
    api,
    ...dns,
    clusterDomain: config.clusterDomain,
    client,
    applied,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** Slices may name the loopback addresses of Pods and that of the API server, and the server judges who may. */
function kindsOf({ apiListen }: ClusterConfig, ranges: LoopbackRanges): readonly KindDefinition[] {
  const own = publishedAddress(apiListen.address);
  const ownCidrs = isLoopback(own) ? [singleAddress(own)] : [];
  const primaryFamily = cidrFamily(ranges.serviceCidr);
  return servedKinds({ podCidrs: [ranges.podCidr, ...ownCidrs], primaryFamily });
}

/** Opened before the server, so that it is closed after it. */
async function openedAudit(
  { auditLog }: ClusterConfig,
  log: Logger,
  opened: Disposables,
): Promise<AuditLog | undefined> {
  return auditLog === undefined ? undefined : opened.add(await openAuditLog(auditLog, log));
}

/** Claims the instance's addresses, the same as before for a data dir that was used already. */
async function holdRanges(
  config: ClusterConfig,
  dataDir: string,
  opened: Disposables,
): Promise<LoopbackRanges> {
  const { serviceCidr, podCidr } = config;
  const asked = {
    ...(serviceCidr === undefined ? {} : { serviceCidr }),
    ...(podCidr === undefined ? {} : { podCidr }),
  };
  const fixed = agreedRanges(dataDir, await readRanges(dataDir), asked);
  const holder = { pid: process.pid, dataDir };
  const occupied = await occupiedRanges(dataDir);
  const from = config.dataDir === undefined ? "first" : "last";
  const { ranges, claim } = await claimRanges(fixed, holder, occupied, from);
  opened.add(claim);
  await writeRanges(dataDir, ranges);
  return ranges;
}

/** Starts all that works through the API, in the order of a datum's way. @returns where DNS listens: `IP:PORT`. */
async function startParts(
  parts: { client: ApiClient; informers: Informers; log: Logger; metrics: Metrics },
  config: ClusterConfig,
  ranges: LoopbackRanges,
  dataDir: string,
  certificates: ClusterCertificates,
  opened: Disposables,
  signal: AbortSignal,
): Promise<Pick<Cluster, "dns" | "dnsTls">> {
  opened.add(
    startControllers(parts, {
      loadBalancerPools: [ranges.loadBalancerCidr],
      rootCertificate: certificates.authority,
    }),
  );
  const proxy = opened.add(startLoopbackProxy(parts, NODE_NAME, ranges));
  const clusterDns = cidrAddress(ranges.serviceCidr, 10n);
  const dns = opened.add(
    await startDns(parts, {
      listen: config.dnsListen,
      clusterDomain: config.clusterDomain,
      reverseCidrs: [ranges.serviceCidr, ranges.podCidr],
      // Through its Service as well, whose endpoint is the node; the port is free there for sure.
      nodeListen: { address: cidrAddress(ranges.podCidr, 1n), port: config.dnsListen.port },
      tls: await dnsTlsOf(config, clusterDns, dataDir),
    }),
  );
  const published = publishKubeDns(parts, {
    nodeName: NODE_NAME,
    address: cidrAddress(ranges.podCidr, 1n),
    port: dns.nodePort,
    metricsPort: dns.metricsPort,
    tlsPort: dns.nodeTlsPort,
    clusterIp: clusterDns,
  });
  // Awaited below; until then a failure of what comes between is the one to tell.
  published.catch(() => undefined);
  opened.add(
    await startAgent(parts, {
      nodeName: NODE_NAME,
      podCidr: ranges.podCidr,
      dataDir: join(dataDir, AGENT_FOLDER),
      tls: {
        key: certificates.agent.key,
        cert: certificates.agent.certificate,
        ca: certificates.authority,
      },
      images: config.images,
      stopPodsOnExit: true,
      version: `v1.34.0+portolan.${programVersion()}`,
    }),
  );
  opened.add(await published);
  await proxy.ready(signal);
  const { tlsPort } = dns;
  const secured = config.dnsTlsListen?.address;
  return {
    dns: formatHostPort(dns.address, dns.port),
    dnsTls:
      secured === undefined || tlsPort === undefined ? undefined : formatHostPort(secured, tlsPort),
  };
}

/** DNS over TLS by the cluster's authority, which its clients know already. */
async function dnsTlsOf(
  { dnsTlsListen, clusterDomain }: ClusterConfig,
  clusterDns: IpAddress,
  dataDir: string,
): Promise<DnsOptions["tls"]> {
  if (dnsTlsListen === undefined) return undefined;
  const certificate = await renewingCertificate(join(dataDir, CERTIFICATES_FOLDER), {
    commonName: "portolan-dns",
    names: dnsNames(clusterDomain, [dnsTlsListen.address, clusterDns, "127.0.0.1", "::1"]),
    now: Date.now,
  });
  return {
    listen: dnsTlsListen,
    certificate: () => {
      const { certificate: cert, key } = certificate();
      return { cert, key };
    },
  };
}

/** Services, their endpoints and namespaces are known to DNS and the proxy. */
async function synced(informers: Informers, signal: AbortSignal): Promise<void> {
  await Promise.all([
    informers.of(serviceKind).synced(signal),
    informers.of(endpointSliceKind).synced(signal),
    informers.of(namespaceKind).synced(signal),
  ]);
}

/** Readable by its owner only: whoever has it is the cluster's administrator. */
async function writeKubeconfig(
  path: string,
  api: string,
  certificates: ClusterCertificates,
): Promise<void> {
  const text = renderKubeconfig({
    server: api,
    ca: certificates.authority,
    cert: certificates.admin.certificate,
    key: certificates.admin.key,
  });
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (error) {
    throw new Error(
      `the kubeconfig ${path} cannot be written; choose another place with --kubeconfig`,
      {
        cause: error,
      },
    );
  }
}
