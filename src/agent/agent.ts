import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { Disposables } from "../async/disposables.ts";
import type { ApiClient } from "../client/client.ts";
import { createEventRecorder, referenceTo } from "../client/events.ts";
import type { Change, Informers } from "../client/informer.ts";
import type { PodResolver } from "../core/dns/pod-surroundings.ts";
import { podSurroundings } from "../core/dns/pod-surroundings.ts";
import { ipToBigInt, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrAddress, cidrContains } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { PodVolumes } from "./pod-volumes.ts";
import { Drains } from "./drain.ts";
import { hostEnvironment } from "./host-env.ts";
import type { Images } from "./launch.ts";
import { createAgentMetrics } from "./metrics.ts";
import { Namespaces } from "./namespaces.ts";
import { machineCapacity, startNode } from "./node.ts";
import { PodFiles } from "./pod-files.ts";
import { PodSet } from "./pod-set.ts";
import { bootId } from "./proc.ts";
import { SHARED } from "./sandbox.ts";
import type { Sandboxes } from "./sandbox.ts";
import { startAgentServer } from "./server.ts";
import type { ServerTls } from "./server.ts";

export interface AgentDeps {
  readonly client: ApiClient;
  /** Of the node's Pods and of the Leases of data planes. */
  readonly informers: Pick<Informers, "of">;
  /** Of Services and EndpointSlices, for a node whose proxy and DNS follow them already; default `informers`. */
  readonly network?: Pick<Informers, "of"> | undefined;
  readonly log: Logger;
  /** Where the agent counts; default nowhere. */
  readonly metrics?: Metrics | undefined;
  /** Epoch milliseconds; default Date.now. */
  readonly now?: (() => number) | undefined;
}

export interface AgentOptions {
  /** Default `local`. */
  readonly nodeName?: string | undefined;
  /** Follows this node's Pods alone, which is all that a node may; default all, where others follow them anyway. */
  readonly followsOwnPodsOnly?: boolean | undefined;
  /**
   * The agent's own directory: `pods/<uid>/<container>/` with logs and records. Whoever starts the agent sees
   * to it that no other agent uses it at the same time.
   */
  readonly dataDir: string;
  /** The Pods' addresses; .1 is the node's. All must be bindable, as 127.0.0.0/8 is on Linux. */
  readonly podCidr: Cidr;
  /** The range of the Pods' second addresses, of the other family, at the same offsets; default they have one. */
  readonly secondPodCidr?: Cidr | undefined;
  /** The node's own addresses, the primary one first; default .1 of the Pods' range. */
  readonly nodeAddresses?: readonly IpAddress[] | undefined;
  /** Gives each Pod namespaces of its own, and in them these resolvers; default Pods share the agent's. */
  readonly podResolver?: PodResolver | undefined;
  /** Where logs are served. Default: the node's address (what the API server connects to) and a free port. */
  readonly listen?: { readonly address?: string; readonly port?: number } | undefined;
  /** PEM texts; the certificate must name the listening address. */
  readonly tls: ServerTls;
  /** Programs for containers that name an image but no command. */
  readonly images?: Images | undefined;
  /** Where a container without workingDir runs; default the current directory. */
  readonly workingDir?: string | undefined;
  /** From this a few variables are passed on (PATH, HOME, TMPDIR, LANG, LC_ALL, TZ); default process.env. */
  readonly hostEnv?: Readonly<Record<string, string | undefined>> | undefined;
  /** true: disposal stops all Pods' processes. false: they go on, and the next agent adopts them. */
  readonly stopPodsOnExit: boolean;
  /** With stopPodsOnExit, the longest grace for a Pod; default 5000. */
  readonly exitGraceMs?: number | undefined;
  /** Shown as the node's capacity; default 1000. Not enforced: placing Pods is others' work. */
  readonly maxPods?: number | undefined;
  /** kubeletVersion of the node, as the API's /version says it. */
  readonly version: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface Agent extends AsyncDisposable {
  readonly nodeName: string;
  /** Port of the log server, also in the Node's `status.daemonEndpoints`. */
  readonly port: number;
  /** Pods that the agent is responsible for now, whatever their state. */
  readonly podCount: number;
}

/**
 * Starts the node agent: registers the Node and its lease, and runs the Pods that are bound to it as local
 * processes. Resolves when the Node is registered, what an earlier agent left is adopted or stopped, and
 * the Pods that exist are being started.
 * @throws StatusError when the API refuses the Node, Error when the directory or the port cannot be used.
 */
export async function startAgent(deps: AgentDeps, options: AgentOptions): Promise<Agent> {
  const { client, informers, network = informers, now = Date.now } = deps;
  const { nodeName = "local", podCidr } = options;
  const log = deps.log.with({ component: "agent" });
  const nodeAddresses = options.nodeAddresses ?? [cidrAddress(podCidr, 1n)];
  const [nodeAddress = cidrAddress(podCidr, 1n)] = nodeAddresses;
  const starting = new AbortController();
  const pods = informers.of(
    podKind,
    options.followsOwnPodsOnly === true ? { fieldSelector: `spec.nodeName=${nodeName}` } : {},
  );
  const services = network.of(serviceKind);

  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(options.dataDir);
  const capacity = machineCapacity(dataDir, options.maxPods ?? 1000);
  const opened = new Disposables();
  try {
    const recorder = { client, component: "kubelet", host: nodeName, now, log };
    const events = opened.add(createEventRecorder(recorder));
    const metrics = createAgentMetrics(deps.metrics ?? new Metrics());
    const drains = new Drains({
      informers,
      slices: network.of(endpointSliceKind),
      metrics,
      now,
      record: (pod, type, reason, message) => {
        events.record(referenceTo(pod), type, reason, message);
      },
    });
    opened.add(drains);
    const files = new PodFiles(dataDir);
    const sandboxes = sandboxesOf(options, join(dataDir, "sandboxes"), files.memoryRoot, log);
    const podDir = (uid: string): string => files.podDir(uid);
    const volumes = new PodVolumes({
      client,
      log,
      now,
      podDir,
      canMount: sandboxes.canMount,
      memory: sandboxes.mountMemory && {
        podDir: (uid) => files.memoryDir(uid),
        mount: sandboxes.mountMemory,
      },
      // Not before the first Pod has a volume, so not before there is the set.
      evict: (uid, message) => {
        set.evict(uid, message);
      },
      current: (pod) => pods.get(objectKey(pod.metadata)) ?? pod,
      place: (podIps) => ({ podIps, hostIps: nodeAddresses, allocatable: capacity }),
    });
    opened.add(volumes);
    const set = new PodSet(
      {
        client,
        log,
        metrics,
        drained: (pod, signal) => drains.drained(pod, signal),
        now,
        bootId: bootId(),
        dataDir,
        files,
        volumes,
        // ENV-010: read at each start, and nothing starts before the informer has synced.
        services: () => services.list(),
        record: (object, type, reason, message) => {
          events.record(object, type, reason, message);
        },
        images: options.images ?? {},
        baseEnv: hostEnvironment(options.hostEnv ?? process.env),
        workingDir: options.workingDir ?? process.cwd(),
        hostIps: nodeAddresses,
        podIpsOf: (podIp) => podIpsOf(podIp, options),
        sandboxes,
        allocatable: capacity,
      },
      podCidr,
    );
    const ourPod = (namespace: string, name: string): Pod | undefined => {
      const pod = pods.get(objectKey({ namespace, name }));
      return pod?.spec.nodeName === nodeName ? pod : undefined;
    };
    const server = await startAgentServer(
      {
        log,
        now,
        logOf: (namespace, name, container, previous) =>
          set.logOf(ourPod(namespace, name), name, container, previous),
        runningContainer: (namespace, name, container) =>
          set.runningContainer(ourPod(namespace, name), name, container),
        forwardTarget: (namespace, name) => set.forwardTarget(ourPod(namespace, name), name),
      },
      {
        address: options.listen?.address ?? nodeAddress,
        port: options.listen?.port ?? 0,
        tls: options.tls,
      },
    );
    opened.add(server);
    await Promise.all([pods.synced(starting.signal), services.synced(starting.signal)]);
    const isOurs = (pod: Pod): boolean => pod.spec.nodeName === nodeName;
    const [node] = await Promise.all([
      startNode(
        { client, log, now },
        {
          name: nodeName,
          internalIps: nodeAddresses,
          podCidrs: podCidrsOf(options),
          serverPort: server.port,
          capacity,
          version: options.version,
          labels: options.labels ?? {},
        },
        starting.signal,
      ),
      set.restore(pods.list().filter(isOurs), starting.signal),
    ]);
    opened.add(node);
    opened.add({
      [Symbol.asyncDispose]: () =>
        options.stopPodsOnExit ? set.stopAll(options.exitGraceMs ?? 5_000) : set.detachAll(),
    });
    opened.add(
      pods.onChange(({ before, after }: Change<Pod>) => {
        set.change(before, after !== undefined && isOurs(after) ? after : undefined);
      }),
    );
    log.info("node agent started", { node: nodeName, address: nodeAddress, port: server.port });
    return {
      nodeName,
      port: server.port,
      get podCount() {
        return set.size;
      },
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (error) {
    starting.abort(new Error("the node agent could not start", { cause: error }));
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

function podCidrsOf({ podCidr, secondPodCidr }: AgentOptions): readonly Cidr[] {
  return secondPodCidr === undefined ? [podCidr] : [podCidr, secondPodCidr];
}

/** A Pod's address of the second family is as far into its range as the first is into its own. */
function podIpsOf(podIp: string, options: AgentOptions): readonly string[] {
  const { podCidr, secondPodCidr, nodeAddresses = [] } = options;
  const address = parseIpAddress(podIp);
  // Pods with hostNetwork have the node's addresses.
  if (nodeAddresses.some((own) => own === address)) return nodeAddresses;
  if (secondPodCidr === undefined || address === undefined || !cidrContains(podCidr, address))
    return [podIp];
  const offset = ipToBigInt(address) - ipToBigInt(cidrAddress(podCidr, 0n));
  return [podIp, cidrAddress(secondPodCidr, offset)];
}

function sandboxesOf(
  options: AgentOptions,
  dir: string,
  memoryRoot: string,
  log: Logger,
): Sandboxes {
  const { podResolver } = options;
  if (podResolver === undefined) return SHARED;
  return new Namespaces({
    log,
    dir,
    memoryRoot,
    gateways: podCidrsOf(options).map((cidr) => cidrAddress(cidr, 1n)),
    surroundings: (pod, podIps) => podSurroundings(pod, podIps, podResolver),
  });
}
