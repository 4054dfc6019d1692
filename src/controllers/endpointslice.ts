import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { keyOf, objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason, StatusError } from "../api/machinery/status.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { planChangedPods, resettled, settledSlices } from "../core/endpoints/changed-pods.ts";
import { hasManagedEndpoints } from "../core/endpoints/selection.ts";
import { ZONE_LABEL } from "../core/endpoints/slice-endpoint.ts";
import { isManagedSlice } from "../core/endpoints/slice-metadata.ts";
import { hintedZonesOf, planSlices } from "../core/endpoints/slices.ts";
import type { SlicePlan } from "../core/endpoints/slices.ts";
import { topologyNews, wantsTopology } from "../core/endpoints/topology.ts";
import { noteTriggers, planTriggerTime, triggersBySlices } from "../core/endpoints/trigger-time.ts";
import type { TriggerState } from "../core/endpoints/trigger-time.ts";
import { isSameCapacity, zoneCapacityOf } from "../core/endpoints/zone-capacity.ts";
import type { ZoneCapacity } from "../core/endpoints/zone-capacity.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { KnownEndpoints } from "./known-endpoints.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { isServiceGone } from "./service-gone.ts";
import { ServicePods } from "./service-pods.ts";
import { SettledServices, areSettled } from "./settled-services.ts";
import { SliceWriter } from "./slice-writer.ts";

export interface EndpointSliceControllerDeps {
  readonly client: Pick<ApiClient, "get" | "create" | "update" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `endpoint-slice-controller`. */
  readonly events?: EventRecorder | undefined;
}

export interface EndpointSliceControllerOptions {
  /** 1 to 1000, default 100 (EPS-040). */
  readonly maxEndpointsPerSlice?: number | undefined;
  /** Pod changes are gathered for so long before they are written; default 0, not at all (EPS-052). */
  readonly podBatchMs?: number | undefined;
}

/** From here on working out all endpoints anew costs more than remembering them is worth. */
const MANY_PODS = 500;
/** From here on looking at all Pods costs no more than looking at the changed ones. */
const MANY_CHANGED = 200;
const WITH_TOPOLOGY = "topology-mode";
const OFF = { kind: "off" } as const;
/** Services worked on at once: each waits for the API most of the time. */
const CONCURRENCY = 8;
/** A Pod on a Node that is not there: the Node's arrival brings the Service back anyway (EPS-028). */
const MISSING_NODE_RETRY_MS = 1_000;

/**
 * Keeps the EndpointSlices of every Service that has a selector (EPS-001..054). What to write is decided by
 * {@link planSlices}; this loop feeds it from the caches and carries it out.
 * @throws RangeError when an option is out of its range.
 */
export function startEndpointSliceController(
  deps: EndpointSliceControllerDeps,
  options: EndpointSliceControllerOptions = {},
): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const { maxEndpointsPerSlice: most } = options;
  if (most !== undefined && !(Number.isInteger(most) && most >= 1 && most <= 1000)) {
    throw new RangeError(
      `maxEndpointsPerSlice is ${String(most)}, not a whole number from 1 to 1000`,
    );
  }
  const services = informers.of(serviceKind);
  const pods = informers.of(podKind);
  const nodes = informers.of(nodeKind);
  const slices = informers.of(endpointSliceKind);
  const servicePods = new ServicePods(services, pods);
  services.addIndex(WITH_TOPOLOGY, (service) => (wantsTopology(service) ? [""] : []));
  const writer = new SliceWriter(client, slices, isManagedSlice);
  const known = new KnownEndpoints();
  const settled = new SettledServices();
  const triggers = new Map<ObjectKey, TriggerState>();
  /** Of the Services that want hints by topology, or did when last looked at. */
  const topologies = new Map<ObjectKey, SlicePlan["topology"]>();
  let zoneCapacity: ZoneCapacity | undefined;

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [services, pods, nodes, slices]) await informer.synced(signal);
    const service = services.get(key);
    const held = writer.of(key);
    if (service === undefined) {
      triggers.delete(key);
      topologies.delete(key);
      settled.forget(key);
      return removeAll(key, held, signal);
    }
    if (!hasManagedEndpoints(service)) return { kind: "done" };
    if (await reconcileChanged(key, service, held, signal)) return writer.resultOf(key);

    const selected = servicePods.podsOf(service);
    const isLarge = selected.length >= MANY_PODS;
    if (isLarge) settled.track(key);
    const last = triggers.get(key) ?? triggersBySlices(service, selected, held);
    const trigger = planTriggerTime(service, selected, last);
    const plan = planSlices({
      service,
      pods: selected,
      nodeOf,
      slices: held,
      ...(isLarge ? { endpointOf: known.of } : {}),
      maxEndpointsPerSlice: options.maxEndpointsPerSlice,
      zoneCapacity: () => (zoneCapacity ??= zoneCapacityOf(nodes.list())),
      triggerTime: trigger.triggerTime,
    });
    const written = await carryOut(service, plan, signal);
    // Only now: a write that failed is tried again with the same trigger.
    triggers.set(key, trigger.state);
    noteTopology(service, plan, held);
    const isSettled = isLarge && written !== undefined && plan.missingNodes.length === 0;
    settled.settle(
      key,
      isSettled ? settledSlices(service, afterwards(held, plan, written)) : undefined,
    );
    if (plan.missingNodes.length > 0) return { kind: "again", afterMs: MISSING_NODE_RETRY_MS };
    return writer.resultOf(key);
  };

  /** Gives false for a Service of which more may have changed than some Pods; then nothing was done. */
  const reconcileChanged = async (
    key: ObjectKey,
    service: Service,
    held: readonly EndpointSlice[],
    signal: AbortSignal,
  ): Promise<boolean> => {
    const { settled: before, changed = new Set<ObjectKey>() } = settled.take(key) ?? {};
    const last = triggers.get(key);
    const isKnown = before?.service === service && areSettled(before, held);
    if (!isKnown || last === undefined || changed.size > MANY_CHANGED) return false;
    const now = [...changed].flatMap((pod) => pods.get(pod) ?? []);
    if (now.length < changed.size) return false;
    const trigger = planTriggerTime(service, now, last);
    const update = planChangedPods(before, now, nodeOf, trigger.triggerTime);
    if (update === undefined) return false;
    const written = await carryOut(service, { create: [], update, delete: [] }, signal);
    noteTriggers(last, trigger.state);
    settled.settle(key, written && resettled(before, written));
    return true;
  };

  const nodeOf = (name: string) => nodes.get(objectKey({ name }));

  /** Gives the slices that were written, or undefined where that is no use. */
  const carryOut = async (
    service: Service,
    plan: Pick<SlicePlan, "create" | "update" | "delete">,
    signal: AbortSignal,
  ): Promise<readonly EndpointSlice[] | undefined> => {
    let written;
    try {
      written = await writer.apply(keyOf(service), plan, signal);
    } catch (error) {
      // The namespace is going, and its content with it (EPS-016).
      if (isNamespaceGone(error)) return undefined;
      if (!signal.aborted && !hasReason(error, "Conflict", "NotFound")) noteFailure(service, error);
      throw error;
    }
    const { create, update: updated, delete: deleted } = plan;
    if (create.length + updated.length + deleted.length === 0) return written;
    log.debug("slices written", {
      service: keyOf(service),
      created: create.length,
      updated: updated.length,
      deleted: deleted.length,
    });
    return written;
  };

  /** TOPO-012, TOPO-013: tells the user once, when it changes. */
  const noteTopology = (
    service: Service,
    { topology }: SlicePlan,
    held: readonly EndpointSlice[],
  ): void => {
    const key = keyOf(service);
    const last = topologies.get(key);
    const isWanted = wantsTopology(service);
    if (!isWanted && last === undefined) return;
    for (const [family, now] of topology) {
      // On the first look at a Service its slices tell.
      const zones = last === undefined ? hintedZonesOf(held) : new Map<string, string>();
      const before = last?.get(family) ?? (zones.size > 0 ? { kind: "hinted", zones } : OFF);
      const news = topologyNews(family, before, now);
      if (news === undefined) continue;
      deps.events?.record(referenceTo(service), news.type, news.reason, news.message);
    }
    if (isWanted) topologies.set(key, topology);
    else topologies.delete(key);
  };

  /** Slices do not outlive their Service (EPS-003), nor its deletion while nobody looked. */
  const removeAll = async (
    key: ObjectKey,
    orphans: readonly EndpointSlice[],
    signal: AbortSignal,
  ): Promise<ReconcileResult> => {
    if (orphans.length === 0) return { kind: "done" };
    if (!(await isServiceGone(client, key, signal))) return { kind: "again", afterMs: 1_000 };
    await writer.apply(key, { create: [], update: [], delete: orphans }, signal);
    log.debug("slices deleted", { service: key, deleted: orphans.length });
    return { kind: "done" };
  };

  const noteFailure = (service: Service, error: unknown): void => {
    const { namespace, name } = refOf(keyOf(service));
    const why = error instanceof StatusError ? error.message : String(error);
    const text = `Error updating Endpoint Slices for Service ${namespace ?? ""}/${name}: ${why}`;
    deps.events?.record(referenceTo(service), "Warning", "FailedToUpdateEndpointSlices", text);
  };

  const reconciler = startReconciler({
    name: "endpointslice",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const enqueueAll = (keys: Iterable<ObjectKey>): void => {
    for (const key of keys) reconciler.enqueue(key);
  };
  const listeners = [
    services.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    pods.onChange((change) => {
      if (!settled.isEmpty) {
        for (const pod of [change.before, change.after]) {
          if (pod !== undefined) settled.noteChange(servicePods.servicesOf(pod), change.key);
        }
      }
      for (const key of servicePods.servicesChangedBy(change)) {
        reconciler.enqueueAfter(key, options.podBatchMs ?? 0);
      }
    }),
    nodes.onChange(({ before, after }) => {
      const node = after ?? before;
      const zones = [before, after].map((one) => one?.metadata.labels?.[ZONE_LABEL]);
      const isSame = before !== undefined && after !== undefined && zones[0] === zones[1];
      // NODE-003, EPS-054
      if (node !== undefined && !isSame) {
        settled.forgetAll();
        enqueueAll(servicePods.servicesOnNode(node.metadata.name));
      }
      if (isSameCapacity(before, after)) return;
      zoneCapacity = undefined;
      // TOPO-014
      enqueueAll(services.byIndex(WITH_TOPOLOGY, "").map(keyOf));
    }),
    slices.onChange((change) => {
      enqueueAll(writer.observe(change));
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** The slices after the plan was carried out, which wrote some of them. */
function afterwards(
  held: readonly EndpointSlice[],
  plan: SlicePlan,
  written: readonly EndpointSlice[],
): readonly EndpointSlice[] {
  const others = new Set([...plan.update, ...plan.delete].map(({ metadata }) => metadata.name));
  return [...held.filter(({ metadata }) => !others.has(metadata.name)), ...written];
}
