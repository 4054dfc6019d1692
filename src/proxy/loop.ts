import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import { abortable } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer.ts";
import type { Reconciler } from "../client/reconcile.ts";
import { laterVersion } from "../core/endpoints/draining.ts";
import { isNoChange } from "../core/proxy/diff.ts";
import type { TableChange } from "../core/proxy/diff.ts";
import { proxiedServiceOf } from "../core/proxy/endpoint-view.ts";
import { LiveTable } from "../core/proxy/live-table.ts";
import type { ProxyNode, ServicePart } from "../core/proxy/service-part.ts";
import { ServiceParts } from "../core/proxy/service-parts.ts";
import type { ForwardingTable } from "../core/proxy/table.ts";
import type { IpAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Family, Gauge, Metrics } from "../telemetry/metrics.ts";
import type { AppliedLease } from "./applied-lease.ts";
import { startConditionWriter } from "./condition-writer.ts";
import { SERVED } from "./conditions.ts";
import { ConflictBook } from "./conflict-book.ts";
import { PROBLEM_REASONS } from "./data-plane.ts";
import type { DataPlane, FrontendProblem } from "./data-plane.ts";
import { HealthChecks } from "./healthcheck.ts";
import { isNodeEligible, isProxyHealthy } from "./health.ts";
import type { ProxyState } from "./health.ts";
import { MisfitBook } from "./misfit-book.ts";
import { ProblemBook } from "./problem-book.ts";
import { SyncMetrics } from "./sync-metrics.ts";

const INDEX = "proxy-service";
const ZONE = "topology.kubernetes.io/zone";
/** A user who mends what kept an address from being served sees it at once. */
const RETRY_MS = 2_000;

export interface ProxyDeps {
  readonly informers: Pick<Informers, "of">;
  /** For Service conditions. */
  readonly client: Pick<ApiClient, "patch">;
  readonly events: Pick<EventRecorder, "record">;
  /** Not disposed by the proxy: rules may outlive the loop that keeps them. */
  readonly dataPlane: DataPlane;
  /** Told how far the data plane has come, when endpoints begin to terminate; default nobody waits for it. */
  readonly applied?: Pick<AppliedLease, "confirm"> | undefined;
  /** The data plane as a whole takes no changes, and why; undefined when it does again. */
  readonly onStuck?: ((why: string | undefined) => void) | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface ProxyOptions {
  readonly nodeName: string;
  /** Where node ports and health-check ports are served (NP-002). */
  readonly nodePortAddresses: readonly IpAddress[];
  /** Sources that count as Pods or as this node (NP-007). */
  readonly internalRanges: readonly Cidr[];
  /** External IPs are left to the network (EXT-004); default false. */
  readonly ignoreExternalIPs?: boolean;
  /** How often to try again what could not be served; default 2 seconds. */
  readonly retryMs?: number;
}

/** Begins to follow Services; @see Proxy.ready */
export function startProxy(deps: ProxyDeps, options: ProxyOptions): Proxy {
  return new Proxy(deps, options);
}

/** Keeps a data plane equal to what Services and EndpointSlices ask for on one node. */
export class Proxy implements AsyncDisposable {
  readonly #deps: ProxyDeps;
  readonly #options: ProxyOptions;
  readonly #retryMs: number;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #nodes: Informer<Node>;
  readonly #table = new LiveTable();
  readonly #parts = new ServiceParts();
  readonly #problems = new ProblemBook();
  readonly #healthChecks: HealthChecks;
  readonly #conditions: Reconciler;
  readonly #subscriptions: readonly Disposable[];
  readonly #metrics: SyncMetrics;
  readonly #conflicts = new ConflictBook();
  readonly #misfits: MisfitBook;
  readonly #problemCounts: Family<"reason", Gauge>;
  readonly #conflictCount: Gauge;
  readonly #ended = new AbortController();
  /** Services to look at; the bound is the number of Services. */
  readonly #dirty = new Set<ObjectKey>();
  readonly #loop: Promise<void>;
  /** The latest version of a slice that was seen, and whether one with an endpoint that terminates is among the dirty. */
  #seenVersion = "0";
  #isConfirmDue = false;
  #node: ProxyNode;
  #wake: () => void = () => undefined;
  #isRetryDue = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #queuedSinceMs: number | undefined;
  /** Why the data plane takes no changes. */
  #stuck: string | undefined;
  #appliedMs: number | undefined;
  #markReady: () => void = () => undefined;
  readonly #ready: Promise<void>;

  constructor(deps: ProxyDeps, options: ProxyOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#retryMs = options.retryMs ?? RETRY_MS;
    this.#services = deps.informers.of(serviceKind);
    this.#slices = deps.informers.of(endpointSliceKind);
    // Of a large cluster's nodes only this one concerns the proxy.
    this.#nodes = deps.informers.of(nodeKind, {
      fieldSelector: `metadata.name=${options.nodeName}`,
    });
    this.#node = this.#readNode();
    this.#ready = new Promise((resolve) => {
      this.#markReady = resolve;
    });
    this.#metrics = new SyncMetrics(deps.metrics);
    this.#misfits = new MisfitBook(deps.metrics);
    this.#problemCounts = deps.metrics.gauge(
      "portolan_proxy_problems",
      "Addresses and ports that are not served as their Services ask, by why.",
      ["reason"],
    );
    this.#conflictCount = deps.metrics
      .gauge(
        "portolan_proxy_address_conflicts",
        "Addresses and ports that more than one Service claims.",
      )
      .with();
    this.#healthChecks = new HealthChecks(
      {
        log: deps.log,
        isHealthy: () => isProxyHealthy(this.state, Date.now()),
        onFailure: (service, message) => {
          this.#warn(service, "FailedToStartServiceHealthcheck", message);
        },
      },
      options.nodePortAddresses,
    );
    this.#conditions = startConditionWriter({
      client: deps.client,
      services: this.#services,
      problemsOf: (service) => this.#problems.of(service),
      log: deps.log,
      metrics: deps.metrics,
    });
    this.#slices.addIndex(INDEX, (slice) => {
      const ref = proxiedServiceOf(slice);
      return ref === undefined ? [] : [objectKey(ref)];
    });
    this.#subscriptions = [
      this.#services.onChange(({ key }) => {
        this.#metrics.serviceChanged();
        this.#enqueue(key);
      }),
      this.#slices.onChange(({ key, before, after }) => {
        this.#noteMisfits(key, after);
        for (const slice of [before, after]) {
          const ref = slice === undefined ? undefined : proxiedServiceOf(slice);
          if (ref === undefined) continue;
          this.#enqueue(objectKey(ref));
          if (slice === after) this.#metrics.sliceChanged(objectKey(ref), before, after);
        }
        if (after !== undefined) this.#noteVersion(after);
      }),
      this.#nodes.onChange(({ key }) => {
        if (key === options.nodeName) this.#noteNode();
      }),
    ];
    this.#loop = this.#run(this.#ended.signal);
  }

  /** Resolves when everything that existed at the start is served; rejects with the signal's reason. */
  async ready(signal: AbortSignal): Promise<void> {
    await abortable(signal, this.#ready);
  }

  /** The table as it is now; its making costs as much as it is large. */
  table(): ForwardingTable {
    return this.#table.snapshot(this.#node);
  }

  /** What is not served as the table says. */
  problems(): readonly FrontendProblem[] {
    return this.#problems.all();
  }

  /** For the proxy's own health endpoint; @see proxyHealthAnswer */
  get state(): ProxyState {
    return {
      queuedSinceMs: this.#queuedSinceMs,
      appliedMs: this.#appliedMs,
      isNodeEligible: isNodeEligible(this.#nodes.get(objectKey({ name: this.#options.nodeName }))),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("the proxy was stopped"));
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    clearTimeout(this.#retryTimer);
    this.#wake();
    await this.#loop;
    await this.#conditions[Symbol.asyncDispose]();
    this.#healthChecks[Symbol.dispose]();
  }

  #enqueue(key: ObjectKey): void {
    this.#dirty.add(key);
    this.#queuedSinceMs ??= Date.now();
    this.#wake();
  }

  #noteMisfits(key: ObjectKey, slice: EndpointSlice | undefined): void {
    const isOurs = slice !== undefined && proxiedServiceOf(slice) !== undefined;
    const message = this.#misfits.update(key, isOurs ? slice : undefined);
    if (message === undefined || slice === undefined) return;
    this.#deps.events.record(referenceTo(slice), "Warning", "InvalidEndpoint", message);
  }

  #noteVersion(slice: EndpointSlice): void {
    this.#seenVersion = laterVersion(this.#seenVersion, slice.metadata.resourceVersion ?? "0");
    const endpoints = slice.endpoints ?? [];
    this.#isConfirmDue ||= endpoints.some(({ conditions }) => conditions?.terminating === true);
  }

  #readNode(): ProxyNode {
    const { nodeName, nodePortAddresses, internalRanges } = this.#options;
    const labels = this.#nodes.get(objectKey({ name: nodeName }))?.metadata.labels;
    return {
      name: nodeName,
      zone: labels?.[ZONE],
      nodePortAddresses,
      internalRanges,
      ignoresExternalIPs: this.#options.ignoreExternalIPs ?? false,
    };
  }

  // TOPO-024: another zone may mean other backends for every Service.
  #noteNode(): void {
    const node = this.#readNode();
    if (node.zone === this.#node.zone) return;
    this.#node = node;
    for (const service of this.#table.services()) this.#enqueue(service);
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      // PROXY-011: with one of them missing every Service would look as if it had no endpoints.
      const informers = [this.#services, this.#slices, this.#nodes];
      await Promise.all(informers.map((informer) => informer.synced(signal)));
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    // Also without any Service: what an earlier process left in the data plane must go.
    await this.#sync(signal);
    while (!signal.aborted) {
      if (this.#dirty.size === 0 && !this.#isRetryDue) {
        this.#queuedSinceMs = undefined;
        this.#markReady();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      // One turn of the event loop collects what came in one piece from the watch.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) return;
      await this.#sync(signal);
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    const keys = [...this.#dirty];
    this.#dirty.clear();
    this.#queuedSinceMs = Date.now();
    const confirmed = this.#isConfirmDue ? this.#seenVersion : undefined;
    this.#isConfirmDue = false;
    const parts = keys.map((key) => this.#partOf(key));
    this.#noteRemarks(parts);
    const isRetry = this.#isRetryDue;
    const ownChange = this.#table.put(parts);
    this.#noteConflicts(parts, ownChange);
    const change = withRetries(ownChange, this.#takeRetries());
    const isFirst = this.#appliedMs === undefined;
    const isIdle = isNoChange(change) && !isFirst;
    const applied = isIdle ? [] : await this.#apply(change, signal);
    if (applied === undefined) return;
    if (confirmed !== undefined) this.#deps.applied?.confirm(confirmed);
    this.#note(change, applied);
    for (const part of parts) await this.#healthChecks.set(part.service, part.healthCheck);
    if (isRetry) await this.#healthChecks.retry();
    for (const key of keys) {
      const conditions = this.#services.get(key)?.status?.conditions ?? [];
      const hasCondition = conditions.some((condition) => condition.type === SERVED);
      if (hasCondition || this.#problems.has(key)) this.#conditions.enqueue(key);
    }
    this.#appliedMs = Date.now();
    if (isFirst) this.#metrics.forgetPending();
    this.#metrics.synced(keys, performance.now() - startedMs);
    this.#planRetry();
  }

  #partOf(key: ObjectKey): ServicePart {
    const slices = this.#slices.byIndex(INDEX, key);
    return this.#parts.part(key, this.#services.get(key), slices, this.#node);
  }

  /** Undefined when the proxy was stopped meanwhile. */
  async #apply(
    change: TableChange,
    signal: AbortSignal,
  ): Promise<readonly FrontendProblem[] | undefined> {
    for (;;) {
      try {
        const problems = await this.#deps.dataPlane.apply(change);
        this.#noteWorks();
        return problems;
      } catch (error) {
        // The data plane as a whole failed; the change is not lost, and later ones wait behind it.
        this.#metrics.failed();
        this.#noteStuck(error);
      }
      // Rejects only when the signal aborts.
      await sleep(this.#retryMs, signal).catch(() => undefined);
      if (signal.aborted) return undefined;
    }
  }

  #noteStuck(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const isNews = why !== this.#stuck;
    this.#stuck = why;
    const fields = { error, retryMs: this.#retryMs };
    // Every two seconds the same is no news.
    this.#deps.log[isNews ? "error" : "debug"]("data plane failed, trying again", fields);
    if (isNews) this.#deps.onStuck?.(why);
  }

  #noteWorks(): void {
    if (this.#stuck === undefined) return;
    this.#stuck = undefined;
    this.#deps.log.info("data plane takes changes again");
    this.#deps.onStuck?.(undefined);
  }

  #note(change: TableChange, problems: readonly FrontendProblem[]): void {
    const news = this.#problems.update(change, problems);
    for (const { service, reason, message } of news.problems) this.#warn(service, reason, message);
    for (const reason of PROBLEM_REASONS) {
      const [first, ...more] = news.problems.filter((problem) => problem.reason === reason);
      if (first === undefined) continue;
      // One line however many there are: with ports below 1024 it may be every Service.
      const { service, message } = first;
      const fields = { reason, service, message, more: more.length };
      // Ports below 1024 stand in by rule for a user without privileges: the Service itself says it.
      const level = reason === "PrivilegedPort" ? "info" : "warn";
      this.#deps.log[level]("frontends are not served as asked", fields);
    }
    for (const service of news.services) this.#conditions.enqueue(service);
    if (news.services.size === 0) return;
    const all = this.#problems.all();
    for (const reason of PROBLEM_REASONS) {
      const count = all.filter((problem) => problem.reason === reason).length;
      this.#problemCounts.with({ reason }).set(count);
    }
  }

  /** Before the table has the parts: a remark is told when it is new. */
  #noteRemarks(parts: readonly ServicePart[]): void {
    for (const { service, remark } of parts) {
      if (remark === undefined) continue;
      if (this.#table.part(service)?.remark?.message === remark.message) continue;
      this.#warn(service, remark.reason, remark.message);
    }
  }

  #noteConflicts(parts: readonly ServicePart[], change: TableChange): void {
    for (const { frontend, loser, winner } of this.#conflicts.update(this.#table, parts, change)) {
      const message = `${frontend} goes to Service ${winner}, which has the better claim to it`;
      this.#warn(loser, "AddressConflict", message);
    }
    this.#conflictCount.set(this.#conflicts.size);
  }

  #takeRetries(): TableChange["changed"] {
    if (!this.#isRetryDue) return [];
    this.#isRetryDue = false;
    return this.#problems.retryable().flatMap((key) => {
      const frontend = this.#table.get(key);
      return frontend === undefined ? [] : [{ before: frontend, after: frontend }];
    });
  }

  #planRetry(): void {
    if (this.#retryTimer !== undefined) return;
    if (this.#problems.retryable().length === 0 && !this.#healthChecks.hasFailures) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#isRetryDue = true;
      this.#wake();
    }, this.#retryMs).unref();
  }

  #warn(key: ObjectKey, reason: string, message: string): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#deps.events.record(referenceTo(service), "Warning", reason, message);
  }
}

function withRetries(change: TableChange, retries: TableChange["changed"]): TableChange {
  if (retries.length === 0) return change;
  // Those that changed anyway are tried with the change.
  const touched = new Set([...change.added, ...change.changed.map(({ after }) => after)]);
  const more = retries.filter(({ after }) => !touched.has(after));
  return { ...change, changed: [...change.changed, ...more] };
}
