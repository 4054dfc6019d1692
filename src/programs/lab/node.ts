import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { startAgent } from "../../agent/agent.ts";
import { sleep } from "../../async/sleep.ts";
import { createHttpTransport } from "../../client/http-transport.ts";
import { loadKubeconfig } from "../../client/kubeconfig.ts";
import type { ApiClient } from "../../client/client.ts";
import type { Informers } from "../../client/informer.ts";
import { createClient } from "../../client/rest.ts";
import { createInformers } from "../../client/shared-informers.ts";
import type { InformersDeps } from "../../client/shared-informers.ts";
import { followCertificateFiles } from "../../dns/certificate-files.ts";
import { dnsFeed, startDns } from "../../dns/server.ts";
import { parseIpAddress } from "../../net/address.ts";
import { parsePort } from "../../net/host-port.ts";
import { AppliedLease } from "../../proxy/applied-lease.ts";
import type { Logger } from "../../telemetry/log.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { bundledImages } from "../bundled.ts";
import { Disposables } from "../../async/disposables.ts";
import { keepGarbageSmall } from "../garbage.ts";
import { networkFieldsOf } from "../network-fields.ts";
import { startNodeProxy } from "../node-proxy.ts";
import type { NodeProxy } from "../node-proxy.ts";
import { programVersion } from "../version.ts";
import { AGENT_KUBECONFIG, DNS_CERTIFICATE, NETWORK_KUBECONFIG } from "./parts.ts";
import type { NodeConfig } from "./parts.ts";

const CREDENTIALS_EVERY_MS = 10;
const DNS_PORT = known(parsePort(53));
const DNS_TLS_PORT = known(parsePort(853));
/** Where others' proxies tell their health and their metrics. */
const HEALTH_PORT = known(parsePort(10_256));
const METRICS_PORT = known(parsePort(10_249));
const LOOPBACK = known(parseIpAddress("127.0.0.1"));
/** Nodes of a lab have no way out: what is not the cluster's is nobody's. */
const NO_RESOLVERS = "";

/** What each part of a node reaches the API by, as its own user. */
interface NodeParts {
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Runs a node of a lab in the network namespace that this process is in: agent, kernel data plane and DNS. */
export async function startLabNode(
  config: NodeConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<AsyncDisposable> {
  keepGarbageSmall();
  const opened = new Disposables();
  try {
    await start(config, deps.log, deps.signal, opened);
    return opened;
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(
  config: NodeConfig,
  log: Logger,
  signal: AbortSignal,
  opened: Disposables,
): Promise<void> {
  const { credentialsDir } = config;
  await made(join(credentialsDir, AGENT_KUBECONFIG), signal);
  const metrics = new Metrics();
  const connect = async (
    file: string,
    transform?: InformersDeps["transform"],
  ): Promise<NodeParts> => {
    const transport = opened.add(
      createHttpTransport(await loadKubeconfig([join(credentialsDir, file)])),
    );
    const client = createClient({ transport: transport.transport });
    return {
      client,
      informers: opened.add(createInformers({ client, log, metrics, transform })),
      log,
      metrics,
    };
  };
  const [agent, network] = await Promise.all([
    connect(AGENT_KUBECONFIG),
    connect(NETWORK_KUBECONFIG, networkFieldsOf(config.name)),
  ]);
  const applied = opened.add(
    new AppliedLease({ client: network.client, log, now: Date.now }, config.name),
  );
  const proxy = startProxy(network, config, applied, signal);
  // Closed in the reverse order: Pods end first, and wait for what the proxy says.
  await addAll(opened, [
    startDnsServers(network, config),
    proxy,
    startNodeAgent({ ...agent, network: network.informers }, config),
  ]);
  await (await proxy).ready(signal);
}

/** Adds what starts at the same time, in this order. @throws the first failure, when all have started or failed. */
async function addAll(
  opened: Disposables,
  starting: readonly Promise<AsyncDisposable>[],
): Promise<void> {
  const settled = await Promise.allSettled(starting);
  for (const each of settled) if (each.status === "fulfilled") opened.add(each.value);
  const failed = settled.find((each) => each.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Answers the cluster's names at each of the cluster's DNS addresses. */
async function startDnsServers(network: NodeParts, config: NodeConfig): Promise<AsyncDisposable> {
  const { credentialsDir, clusterDomain } = config;
  const opened = new Disposables();
  try {
    const certificate = opened.add(
      await followCertificateFiles(network.log, {
        cert: join(credentialsDir, DNS_CERTIFICATE.cert),
        key: join(credentialsDir, DNS_CERTIFICATE.key),
      }),
    );
    const feed = opened.add(dnsFeed(network));
    for (const address of config.clusterDns) {
      const server = await startDns(
        { ...network, feed },
        {
          listen: { address, port: DNS_PORT },
          tls: { listen: { address, port: DNS_TLS_PORT }, certificate: certificate.source },
          clusterDomain,
          reverseCidrs: [config.podCidr, config.secondPodCidr],
          upstreams: [],
        },
      );
      opened.add(server);
    }
    return opened;
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function startNodeAgent(
  deps: Parameters<typeof startAgent>[0],
  config: NodeConfig,
): Promise<AsyncDisposable> {
  const read = (file: string): Promise<string> =>
    readFile(join(config.credentialsDir, file), "utf8");
  const [cert, key, ca] = await Promise.all([read("agent.crt"), read("agent.key"), read("ca.crt")]);
  return startAgent(deps, {
    nodeName: config.name,
    followsOwnPodsOnly: true,
    podCidr: config.podCidr,
    secondPodCidr: config.secondPodCidr,
    nodeAddresses: config.addresses,
    podResolver: {
      clusterDns: config.clusterDns[0],
      clusterDomain: config.clusterDomain,
      hostResolvConf: NO_RESOLVERS,
    },
    dataDir: config.dir,
    tls: { cert, key, ca },
    images: bundledImages(),
    stopPodsOnExit: true,
    version: `v1.34.0+portolan.${programVersion()}`,
    labels: {
      "kubernetes.io/hostname": config.name,
      ...(config.zone === undefined ? {} : { "topology.kubernetes.io/zone": config.zone }),
    },
  });
}

/** Serves Services by the kernel of this network namespace. @throws Error when the kernel cannot be programmed. */
async function startProxy(
  { client, informers, metrics, ...parts }: NodeParts,
  config: NodeConfig,
  applied: AppliedLease,
  signal: AbortSignal,
): Promise<NodeProxy> {
  const log = parts.log.with({ component: "proxy" });
  const [address] = config.addresses;
  return startNodeProxy(
    { client, informers, applied, log, metrics },
    {
      nodeName: config.name,
      // Known before the Node is registered, so that the loop need not begin anew then.
      nodePortAddresses: config.nodeRanges,
      clusterCidrs: config.podRanges,
      localhostNodePorts: false,
      serviceCidrs: config.serviceCidrs,
      masqueradeAll: false,
      healthListen: { address, port: HEALTH_PORT },
      metricsListen: { address: LOOPBACK, port: METRICS_PORT },
    },
    signal,
  );
}

/** A port or an address that stands in this file. */
function known<T>(parsed: T | undefined): T {
  if (parsed === undefined) throw new Error("a port or an address of a lab's nodes is none");
  return parsed;
}

/** The control plane makes it when it serves. */
async function made(file: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await access(file);
      return;
    } catch {
      await sleep(CREDENTIALS_EVERY_MS, signal);
    }
  }
}
