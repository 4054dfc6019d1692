import { serviceCidrKind } from "../api/networking/servicecidr.kind.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import type { ApiClient } from "../client/client.ts";
import { createEventRecorder, referenceTo } from "../client/events.ts";
import type { EventRecorder, EventType } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer.ts";
import type { IpAddress } from "../net/address.ts";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Port } from "../net/host-port.ts";
import type { AppliedLease } from "../proxy/applied-lease.ts";
import type { ProxyState } from "../proxy/health.ts";
import { startProxy } from "../proxy/loop.ts";
import type { Proxy } from "../proxy/loop.ts";
import { startConntrackRoom, tuneConntrack } from "../proxy/nftables/conntrack-room.ts";
import { NftablesDataPlane } from "../proxy/nftables/data-plane.ts";
import type { NftablesDeps } from "../proxy/nftables/data-plane.ts";
import { WriteMetrics } from "../proxy/nftables/write-metrics.ts";
import { openKernelAccess } from "../proxy/nftables/open-tables.ts";
import type { KernelAccess } from "../proxy/nftables/open-tables.ts";
import { SplitPlane } from "../proxy/split-plane.ts";
import { healthServer, listenOn, metricsServer } from "../proxy/status-server.ts";
import { TrafficCounters } from "../proxy/traffic.ts";
import type { ReadTraffic } from "../proxy/traffic.ts";
import { UserspaceDataPlane } from "../proxy/userspace/data-plane.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Disposables } from "../async/disposables.ts";
import { tellRefusal } from "./refusal-event.ts";
import { machineAddresses, nodeAddresses } from "./node-addresses.ts";
import type { AddressOptions, NodeAddresses } from "./node-addresses.ts";

/** How often to see whether the machine's addresses changed. */
const ADDRESSES_MS = 5_000;
const COMPONENT = "portolan-proxy";
const LOOPBACK = parseCidr("127.0.0.0/8");

export interface NodeProxyDeps {
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told how far the rules have come, where somebody waits for it; not disposed here. */
  readonly applied?: Pick<AppliedLease, "confirm"> | undefined;
  /** Default the best way that the machine has. */
  readonly openAccess?: (() => Promise<KernelAccess>) | undefined;
}

export interface Endpoint {
  readonly address: IpAddress;
  readonly port: Port;
}

export interface NodeProxyOptions extends AddressOptions {
  readonly nodeName: string;
  /** Ranges of cluster IPs, beside those that the API's ServiceCIDRs name. */
  readonly serviceCidrs: readonly Cidr[];
  readonly masqueradeAll: boolean;
  /** `spec.externalIPs` are left to the network; default they are served. */
  readonly ignoreExternalIPs?: boolean;
  /** undefined: none. */
  readonly healthListen: Endpoint | undefined;
  readonly metricsListen: Endpoint | undefined;
}

export interface NodeProxy extends AsyncDisposable {
  /** Resolves when every Service of the start is in the kernel; rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  /** How rules are written: "netlink" or "nft". */
  readonly way: string;
}

/**
 * Serves Services on this node by the kernel's nftables, from any Kubernetes API. Stopping leaves the rules.
 * @throws KernelRefusal, NodeTakenError, or when a port for health or metrics is taken.
 */
export async function startNodeProxy(
  deps: NodeProxyDeps,
  options: NodeProxyOptions,
  signal: AbortSignal,
): Promise<NodeProxy> {
  const opened = new Disposables();
  try {
    const access = opened.add(await (deps.openAccess ?? openKernelAccess)());
    if (access.remark !== undefined) deps.log.warn(access.remark);
    // Says at once when the node is taken, before it waits for the API.
    await (await planeOf(deps, access, EMPTY, [], options, {}))[Symbol.asyncDispose]();
    const runner = new NodeRunner(deps, options, access);
    opened.add(runner);
    const status = { state: () => runner.state, metrics: deps.metrics };
    if (options.healthListen !== undefined) {
      opened.add(await listenOn(healthServer(status), options.healthListen));
    }
    if (options.metricsListen !== undefined) {
      const { metrics, log } = deps;
      const traffic: ReadTraffic = (open) => runner.traffic(open);
      const counters = new TrafficCounters({ read: traffic, metrics, log });
      const server = metricsServer({ metrics, counters, traffic }, "nftables");
      opened.add(await listenOn(server, options.metricsListen));
    }
    await tuneConntrack(deps.log);
    await runner.start(signal);
    return {
      way: access.tables.way,
      ready: (wait) => runner.ready(wait),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    if (!signal.aborted) {
      const about = { nodeName: options.nodeName, component: COMPONENT };
      await tellRefusal(deps, about, error instanceof Error ? error.message : String(error));
    }
    throw error;
  }
}

const EMPTY: NodeAddresses = { nodePorts: [], pods: [], inside: [] };

/** One loop and its data plane, for the addresses that the node has now. */
interface Run extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly kernel: NftablesDataPlane;
}

/** Begins anew when the node's addresses change: with other addresses every node port is another frontend. */
class NodeRunner implements AsyncDisposable {
  readonly #deps: NodeProxyDeps;
  readonly #options: NodeProxyOptions;
  readonly #access: KernelAccess;
  readonly #nodes: Informer<Node>;
  readonly #events: EventRecorder;
  readonly #room: Disposable;
  readonly #subscriptions: Disposable[] = [];
  #serviceCidrs: readonly Cidr[] = [];
  #addresses = "";
  #run: Run | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isDisposed = false;

  constructor(deps: NodeProxyDeps, options: NodeProxyOptions, access: KernelAccess) {
    this.#deps = deps;
    this.#options = options;
    this.#access = access;
    const scope = { fieldSelector: `metadata.name=${options.nodeName}` };
    this.#nodes = deps.informers.of(nodeKind, scope);
    const host = options.nodeName;
    const { client, log } = deps;
    this.#events = createEventRecorder({ client, component: COMPONENT, host, now: Date.now, log });
    this.#room = startConntrackRoom({
      metrics: deps.metrics,
      log,
      onNews: ({ type, reason, message }) => {
        log[type === "Warning" ? "warn" : "info"](message);
        this.#tell(type, reason, message);
      },
    });
  }

  get state(): ProxyState {
    return (
      this.#run?.proxy.state ?? {
        queuedSinceMs: undefined,
        appliedMs: undefined,
        isNodeEligible: true,
      }
    );
  }

  /** Nothing before there are rules. */
  readonly traffic: ReadTraffic = (open) => this.#run?.kernel.traffic(open) ?? Promise.resolve([]);

  async start(signal: AbortSignal): Promise<void> {
    await this.#nodes.synced(signal);
    this.#serviceCidrs = [...this.#options.serviceCidrs, ...(await this.#clusterIPRanges(signal))];
    await this.#follow();
    const again = (): void => {
      this.#turn = this.#turn
        .then(() => this.#follow())
        .catch((error: unknown) => {
          this.#deps.log.error("the node's new addresses cannot be served yet", { error });
        });
    };
    this.#subscriptions.push(this.#nodes.onChange(again));
    this.#timer = setInterval(again, ADDRESSES_MS).unref();
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#run?.proxy.ready(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#timer);
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#room[Symbol.dispose]();
    await this.#turn;
    await this.#run?.[Symbol.asyncDispose]();
    await this.#events[Symbol.asyncDispose]();
  }

  async #follow(): Promise<void> {
    if (this.#isDisposed) return;
    const node = this.#nodes.get(objectKey({ name: this.#options.nodeName }));
    const addresses = nodeAddresses(node, machineAddresses(), this.#options);
    const text = JSON.stringify(addresses);
    if (text === this.#addresses) return;
    if (this.#addresses !== "")
      this.#deps.log.info("the node's addresses changed", { ...addresses });
    await this.#run?.[Symbol.asyncDispose]();
    this.#run = undefined;
    this.#run = await this.#begin(addresses);
    this.#addresses = text;
  }

  async #begin(addresses: NodeAddresses): Promise<Run> {
    const { informers, client, applied, log, metrics } = this.#deps;
    const opened = new Disposables();
    const kernel = await planeOf(
      this.#deps,
      this.#access,
      addresses,
      this.#serviceCidrs,
      this.#options,
      {
        onRepair: (message) => {
          this.#tell("Warning", "RulesRepaired", message);
        },
        onNotRepaired: (message) => {
          this.#noteStuck(message);
        },
        onMissing: (message) => {
          log.warn("the kernel lacks something, all else is served", { message });
          this.#tell("Warning", "KernelFeatureMissing", message);
        },
      },
    );
    const internalRanges = [...addresses.inside, ...(LOOPBACK === undefined ? [] : [LOOPBACK])];
    const dataPlane = opened.add(
      this.#options.localhostNodePorts
        ? new SplitPlane({
            rest: kernel,
            loopback: new UserspaceDataPlane({ log, metrics, node: { internalRanges } }),
          })
        : kernel,
    );
    const proxy = opened.add(
      startProxy(
        {
          informers,
          client,
          events: this.#events,
          dataPlane,
          applied,
          onStuck: (why) => {
            this.#noteStuck(why);
          },
          log,
          metrics,
        },
        {
          nodeName: this.#options.nodeName,
          nodePortAddresses: addresses.nodePorts,
          internalRanges: addresses.inside,
          ignoreExternalIPs: this.#options.ignoreExternalIPs ?? false,
        },
      ),
    );
    return { proxy, kernel, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
  }

  async #clusterIPRanges(signal: AbortSignal): Promise<readonly Cidr[]> {
    try {
      const { items } = await this.#deps.client.list(serviceCidrKind, { signal });
      return items.flatMap(({ spec }) =>
        (spec?.cidrs ?? []).flatMap((text) => parseCidr(text) ?? []),
      );
    } catch (error) {
      if (signal.aborted) throw error;
      // An API from before 1.33, or one that does not let us: unknown addresses are then left to the network.
      this.#deps.log.info("ServiceCIDRs cannot be read", { error });
      return [];
    }
  }

  #noteStuck(why: string | undefined): void {
    if (why === undefined) this.#tell("Normal", "RulesApplied", "all changes are applied again");
    else this.#tell("Warning", "RulesNotApplied", `${why}; rules applied before stay as they are`);
  }

  #tell(type: EventType, reason: string, message: string): void {
    const node = this.#nodes.get(objectKey({ name: this.#options.nodeName }));
    const about =
      node === undefined
        ? { apiVersion: "v1", kind: "Node", name: this.#options.nodeName }
        : referenceTo(node);
    this.#events.record(about, type, reason, message);
  }
}

function planeOf(
  deps: NodeProxyDeps,
  access: KernelAccess,
  addresses: NodeAddresses,
  serviceRanges: readonly Cidr[],
  options: NodeProxyOptions,
  news: Pick<NftablesDeps, "onRepair" | "onNotRepaired" | "onMissing">,
): Promise<NftablesDataPlane> {
  const { tables, flows } = access;
  return NftablesDataPlane.open(
    { tables, flows, log: deps.log, ...news, writes: new WriteMetrics(deps.metrics) },
    {
      podRanges: addresses.pods,
      internalRanges: addresses.inside,
      serviceRanges,
      masqueradeAll: options.masqueradeAll,
    },
  );
}
