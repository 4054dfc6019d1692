import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { servedKinds } from "../../api/kinds.ts";
import type { PolicyRule } from "../../api/rbac/rule.ts";
import { clusterRoleBindingKind, clusterRoleKind } from "../../api/rbac/rbac.kinds.ts";
import { hasReason } from "../../api/machinery/status.ts";
import { nodeKind } from "../../api/v1/node.kind.ts";
import type { Node } from "../../api/v1/node.ts";
import { serviceKind } from "../../api/v1/service.kind.ts";
import { clientCertificate } from "../../apiserver/certificates.ts";
import type { ClusterCertificates } from "../../apiserver/certificates.ts";
import { writeWhole } from "../../apiserver/whole-file.ts";
import { abortable } from "../../async/deadline.ts";
import type { ApiClient } from "../../client/client.ts";
import type { Informer } from "../../client/informer.ts";
import { renderKubeconfig, renderKubeconfigJson } from "../../client/kubeconfig.render.ts";
import { DEFAULT_NODE_PORT_RANGE } from "../../core/allocation/node-port-allocator.ts";
import { isNodeReady } from "../../core/nodes/health.ts";
import { cidrAddress } from "../../net/cidr.ts";
import { parsePort } from "../../net/host-port.ts";
import type { Logger } from "../../telemetry/log.ts";
import { startControllers } from "../controllers.ts";
import { Disposables } from "../../async/disposables.ts";
import { kubeDnsService } from "../kube-dns.ts";
import { renewDnsCertificates } from "./dns-certificates.ts";
import { applyManifests, readManifests } from "../manifests.ts";
import type { ApplyResult } from "../manifests.ts";
import { serveApi } from "../serve-api.ts";
import { startDoor } from "./forwarder.ts";
import { AGENT_KUBECONFIG, API_PORT, NETWORK_KUBECONFIG } from "./parts.ts";
import type { ControlConfig } from "./parts.ts";
import { WorldRouter } from "./world-router.ts";

/** Runs API server, controllers and load-balancer addresses of a lab in the namespace that this process is in. */
export async function startLabControl(
  config: ControlConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<AsyncDisposable & { readonly applied: ApplyResult }> {
  const opened = new Disposables();
  try {
    return await start(config, deps, opened);
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(
  config: ControlConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
  opened: Disposables,
): Promise<AsyncDisposable & { readonly applied: ApplyResult }> {
  const { log } = deps;
  const manifests = readManifests(config.manifests);
  const [address] = config.addresses;
  const port = parsePort(API_PORT);
  if (port === undefined) throw new Error("the API's port is no port");
  const served = await serveApi(
    {
      listen: { address, port },
      clusterDomain: config.clusterDomain,
      storeDir: join(config.dir, "store"),
      certificatesDir: join(config.dir, "certificates"),
      apiServerNames: [...config.addresses, ...config.serviceCidrs.map((c) => cidrAddress(c, 1n))],
      agentNames: config.nodes.flatMap(({ name, addresses }) => [name, ...addresses]),
      kinds: servedKinds({ podCidrs: [], primaryFamily: "IPv4" }),
      serviceCidrs: config.serviceCidrs,
      nodePortRange: DEFAULT_NODE_PORT_RANGE,
    },
    { log },
    opened,
  );
  const { certificates, informers, metrics, own: client } = served;
  // The host's clients come in by a path: a Unix socket is the same in every network namespace.
  opened.add(await startDoor({ path: config.socket }, served.accept));
  // What the nodes wait for comes first.
  await Promise.all([
    admitNodes(client),
    renewDnsCertificates(config, log).then((renewing) => opened.add(renewing)),
  ]);
  await Promise.all(config.nodes.map(({ name }) => writeCredentials(config, certificates, name)));
  const nodes = config.nodes.map(({ addresses }) => addresses);
  opened.add(new WorldRouter({ informers, log }, { worldPid: config.worldPid, nodes }));
  opened.add(
    startControllers(
      { client, informers, log, metrics },
      { loadBalancerPools: config.loadBalancerCidrs, rootCertificate: certificates.authority },
    ),
  );
  await Promise.all([reserveClusterDns(client, config), writeAdmin(config, certificates)]);
  if (config.manifests.length > 0) {
    const names = config.nodes.map(({ name }) => name);
    await nodesReady(informers.of(nodeKind), names, deps.signal);
  }
  // Manifests come from a user: they go the way of all others' objects.
  const applied = await applyManifests(served.client, await manifests, deps.signal);
  return { applied, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** Resolves when Pods can be placed on all of these nodes: else the first node to come would get them all. */
async function nodesReady(
  nodes: Informer<Node>,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const waiting = new Set(names);
  let resolve = (): void => {};
  const ready = new Promise<void>((done) => {
    resolve = done;
  });
  const listening = nodes.onChange(({ after }) => {
    if (after === undefined || !isNodeReady(after) || (after.spec.taints ?? []).length > 0) return;
    waiting.delete(after.metadata.name ?? "");
    if (waiting.size === 0) resolve();
  });
  try {
    await abortable(signal, ready);
  } finally {
    listening[Symbol.dispose]();
  }
}

/** Proxies and DNS servers of nodes are users of this group. */
const NETWORK_GROUP = "portolan:node-network";
const READ = ["get", "list", "watch"];

/**
 * Who may what on a lab's nodes beyond upstream's roles: proxies and DNS servers follow Services, and proxies say by
 * a Lease how far they have come, which node agents read.
 */
async function admitNodes(client: ApiClient): Promise<void> {
  const rule = (group: string, resource: string, verbs: readonly string[]): PolicyRule => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [...verbs],
  });
  await Promise.all([
    grant(client, "portolan:node", "system:nodes", [rule("coordination.k8s.io", "leases", READ)]),
    grant(client, NETWORK_GROUP, NETWORK_GROUP, [
      ...["services", "namespaces", "nodes", "pods"].map((resource) => rule("", resource, READ)),
      rule("discovery.k8s.io", "endpointslices", READ),
      rule("networking.k8s.io", "servicecidrs", READ),
      rule("", "services/status", ["patch"]),
      rule("", "events", ["create", "patch", "update"]),
      rule("coordination.k8s.io", "leases", ["create", "patch", "delete"]),
    ]),
  ]);
}

async function grant(
  client: ApiClient,
  name: string,
  group: string,
  rules: readonly PolicyRule[],
): Promise<void> {
  await ensure(client.create(clusterRoleKind, { metadata: { name }, rules }));
  await ensure(
    client.create(clusterRoleBindingKind, {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group }],
    }),
  );
}

/**
 * DNS-061: the Service by which Pods know their DNS server. Each node answers its addresses itself, so that no
 * proxy may take them.
 */
async function reserveClusterDns(client: ApiClient, config: ControlConfig): Promise<void> {
  const { metadata, spec } = kubeDnsService(config.clusterDns, true);
  const labels = { ...metadata.labels, "service.kubernetes.io/service-proxy-name": "portolan-dns" };
  // Metrics of DNS are each node's own, with those of the proxy.
  const ports = spec.ports.filter(({ name }) => name !== "metrics");
  await ensure(
    client.create(serviceKind, { metadata: { ...metadata, labels }, spec: { ...spec, ports } }),
  );
}

async function ensure(created: Promise<unknown>): Promise<void> {
  try {
    await created;
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}

/** A node's agent comes as the node; its proxy and DNS server as users of their own, who may less. */
async function writeCredentials(
  config: ControlConfig,
  certificates: ClusterCertificates,
  name: string,
): Promise<void> {
  const dir = join(config.nodesDir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const kubeconfigOf = async (user: string, group: string): Promise<string> => {
    const request = { user, groups: [group], nowMs: Date.now() };
    const pair = await clientCertificate(join(config.dir, "certificates"), request);
    return renderKubeconfigJson({
      server: `https://${config.addresses[0]}:${String(API_PORT)}`,
      ca: certificates.authority,
      cert: pair.certificate,
      key: pair.key,
    });
  };
  const files: readonly (readonly [string, string])[] = [
    ["ca.crt", certificates.authority],
    ["agent.crt", certificates.agent.certificate],
    ["agent.key", certificates.agent.key],
    [NETWORK_KUBECONFIG, await kubeconfigOf(`${NETWORK_GROUP}:${name}`, NETWORK_GROUP)],
    // Last, whole: a node waits for it.
    [AGENT_KUBECONFIG, await kubeconfigOf(`system:node:${name}`, "system:nodes")],
  ];
  for (const [file, text] of files) await writeWhole(join(dir, file), text);
}

async function writeAdmin(config: ControlConfig, certificates: ClusterCertificates): Promise<void> {
  const text = renderKubeconfig({
    server: config.adminServer,
    ca: certificates.authority,
    cert: certificates.admin.certificate,
    key: certificates.admin.key,
  });
  await writeFile(config.adminKubeconfig, text, { mode: 0o600 });
}
