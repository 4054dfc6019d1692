import { deepEqual } from "../api/machinery/json.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { LoadBalancerStatus, Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder, EventType } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { sourceRangesOf } from "../core/loadbalancer/source-ranges.ts";
import {
  isLoadBalancerNode,
  LOAD_BALANCER_FINALIZER,
  loadBalancerFingerprint,
  needsLoadBalancerCleanup,
  wantsLoadBalancer,
} from "../core/loadbalancer/wants.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Cidr } from "../net/cidr.ts";
import { ImplementedElsewhereError, RetryLaterError } from "./provider.ts";
import type { LoadBalancerProvider } from "./provider.ts";

export interface LoadBalancerControllerDeps {
  readonly client: Pick<ApiClient, "patch">;
  readonly informers: Informers;
  readonly provider: LoadBalancerProvider;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `service-controller`. */
  readonly events?: EventRecorder | undefined;
}

export interface LoadBalancerControllerOptions {
  /** The class that the provider implements; default: Services that name no class (LB-001). */
  readonly loadBalancerClass?: string | undefined;
}

/** LB-028: several Services at once, one never twice. */
const CONCURRENCY = 4;
/** LB-009. */
const BACKOFF = { baseMs: 5_000, maxMs: 300_000 };
/** The cache is behind a write; its news comes by itself, this is for when it does not. */
const CONFLICT_RETRY_MS = 50;

/** What was last carried out for a Service. */
interface Ensured {
  /** As it was then. */
  readonly service: Service;
  readonly fingerprint: string;
  readonly nodes: string;
}

/**
 * Gives Services of type LoadBalancer their load balancer, writes where it is into their status, and takes it
 * away before they go or change type (LB-001..012, LB-027, LB-028).
 */
export function startLoadBalancerController(
  deps: LoadBalancerControllerDeps,
  options: LoadBalancerControllerOptions = {},
): AsyncDisposable {
  const { client, informers, provider, metrics } = deps;
  const log = deps.log.with({ provider: provider.name });
  const services = informers.of(serviceKind);
  const nodes = provider.usesNodes ? informers.of(nodeKind) : undefined;
  const ensured = new Map<ObjectKey, Ensured>();
  /** Services whose load balancer could not be had: they are tried again when another one goes. */
  const waiting = new Set<ObjectKey>();

  const note = (service: Service, type: EventType, reason: string, message: string): void => {
    deps.events?.record(referenceTo(service), type, reason, message);
  };

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    await services.synced(signal);
    await nodes?.synced(signal);
    const service = services.get(key);
    if (service === undefined) {
      ensured.delete(key);
      waiting.delete(key);
      return { kind: "done" };
    }
    try {
      await dropPredecessor(key, service, signal);
      if (needsLoadBalancerCleanup(service)) {
        waiting.delete(key);
        ensured.delete(key);
        await cleanUp(service, signal);
      } else if (wantsLoadBalancer(service, options.loadBalancerClass)) {
        await ensure(key, service, signal);
      }
    } catch (error) {
      // It is gone, or was changed meanwhile: look at what there is now.
      if (hasReason(error, "Conflict", "NotFound")) {
        return { kind: "again", afterMs: CONFLICT_RETRY_MS };
      }
      if (error instanceof RetryLaterError) {
        log.warn("load balancer later", { service: key, afterMs: error.afterMs, error });
        return { kind: "again", afterMs: error.afterMs };
      }
      throw error;
    }
    return { kind: "done" };
  };

  /** LB-011: the Service was deleted and made again unseen; what was made for the old one goes first. */
  const dropPredecessor = async (
    key: ObjectKey,
    { metadata }: Service,
    signal: AbortSignal,
  ): Promise<void> => {
    const old = ensured.get(key)?.service;
    if (old === undefined || old.metadata.uid === metadata.uid) return;
    await deleteBalancer(old, signal);
    ensured.delete(key);
    note(old, "Normal", "DeletedLoadBalancer", "Deleted load balancer");
  };

  const rangesOf = (service: Service): readonly Cidr[] => {
    const result = sourceRangesOf(service);
    if (result.kind === "malformed") throw new Error(result.message);
    return result.ranges;
  };

  const ensure = async (key: ObjectKey, given: Service, signal: AbortSignal): Promise<void> => {
    const targets = (nodes?.list() ?? []).filter(isLoadBalancerNode);
    const now = {
      service: given,
      fingerprint: loadBalancerFingerprint(given),
      nodes: namesOf(targets),
    };
    const last = ensured.get(key);
    const existing = await provider.get(given, signal);
    const isSame =
      last?.fingerprint === now.fingerprint &&
      hasFinalizer(given) &&
      existing !== undefined &&
      isSameStatus(given.status?.loadBalancer, existing);
    if (isSame) {
      if (last.nodes !== now.nodes) await updateNodes(given, targets, signal);
      ensured.set(key, now);
      return;
    }
    // Before anything is made, so that nothing made can be forgotten (LB-003).
    const service = hasFinalizer(given)
      ? given
      : await writeFinalizers(
          given,
          [...(given.metadata.finalizers ?? []), LOAD_BALANCER_FINALIZER],
          signal,
        );
    // After a restart everything is ensured again; that is no news.
    const isNews = existing === undefined || !isSameStatus(service.status?.loadBalancer, existing);
    if (isNews) note(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
    noteNoNodes(service, targets);
    try {
      const made = await provider.ensure(service, targets, signal, rangesOf(service));
      await writeStatus(service, made, signal);
    } catch (error) {
      if (error instanceof ImplementedElsewhereError) {
        ensured.set(key, now);
        log.debug("load balancer implemented elsewhere", { service: key });
        return;
      }
      if (signal.aborted || hasReason(error, "Conflict", "NotFound")) throw error;
      waiting.add(key);
      const text = `Error syncing load balancer: failed to ensure load balancer: ${textOf(error)}`;
      note(service, "Warning", "SyncLoadBalancerFailed", text);
      throw error;
    }
    waiting.delete(key);
    ensured.set(key, now);
    if (isNews) note(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
  };

  const updateNodes = async (
    service: Service,
    targets: readonly Node[],
    signal: AbortSignal,
  ): Promise<void> => {
    noteNoNodes(service, targets);
    try {
      await provider.updateNodes(service, targets, signal);
    } catch (error) {
      const text = `Error updating load balancer with new hosts: ${textOf(error)}`;
      if (!signal.aborted) note(service, "Warning", "UpdateLoadBalancerFailed", text);
      throw error;
    }
    note(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts");
  };

  const noteNoNodes = (service: Service, targets: readonly Node[]): void => {
    if (!provider.usesNodes || targets.length > 0) return;
    const text = "There are no available nodes for LoadBalancer";
    note(service, "Warning", "UnAvailableLoadBalancer", text);
  };

  const deleteBalancer = async (given: Service, signal: AbortSignal): Promise<void> => {
    if ((await provider.get(given, signal)) !== undefined) {
      note(given, "Normal", "DeletingLoadBalancer", "Deleting load balancer");
    }
    try {
      await provider.delete(given, signal);
    } catch (error) {
      const text = `Error deleting load balancer: ${textOf(error)}`;
      if (!signal.aborted) note(given, "Warning", "DeleteLoadBalancerFailed", text);
      throw error;
    }
  };

  /** LB-004, LB-005: the load balancer, then the status, then the finalizer. */
  const cleanUp = async (given: Service, signal: AbortSignal): Promise<void> => {
    await deleteBalancer(given, signal);
    const service = await writeStatus(given, {}, signal);
    const finalizers = service.metadata.finalizers ?? [];
    const others = finalizers.filter((one) => one !== LOAD_BALANCER_FINALIZER);
    await writeFinalizers(service, others, signal);
    note(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer");
    log.info("load balancer deleted", { service: keyOf(service) });
  };

  /** A merge patch replaces the whole list: the version makes sure that it is the list that was read. */
  const writeFinalizers = (
    { metadata }: Service,
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<Service> => {
    const { uid, resourceVersion } = metadata;
    const body = { metadata: { uid, resourceVersion, finalizers } };
    return client.patch(serviceKind, metadata, { kind: "merge", body }, { signal });
  };

  /** Only through /status, and only when it changes (LB-006). */
  const writeStatus = async (
    service: Service,
    loadBalancer: LoadBalancerStatus,
    signal: AbortSignal,
  ): Promise<Service> => {
    if (isSameStatus(service.status?.loadBalancer, loadBalancer)) return service;
    const { ingress = [] } = loadBalancer;
    const { uid } = service.metadata;
    // A merge patch takes a field out by null.
    const status = { loadBalancer: { ingress: ingress.length === 0 ? null : ingress } };
    const patch = { kind: "merge", body: { metadata: { uid }, status } } as const;
    const options = { signal, subresource: "status" };
    const written = await client.patch(serviceKind, service.metadata, patch, options);
    const addresses = ingress.map(({ ip, hostname }) => ip ?? hostname);
    log.info("load balancer status written", { service: keyOf(service), addresses });
    return written;
  };

  const reconciler = startReconciler({
    name: "loadbalancer",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
    backoff: BACKOFF,
  });
  const listeners = [
    services.onChange(({ key, before, after }) => {
      reconciler.enqueue(key);
      const isFreed = hasAddress(before) && !hasAddress(after);
      if (isFreed) for (const other of waiting) reconciler.enqueue(other);
    }),
    nodes?.onChange(({ before, after }) => {
      const [was, is] = [before, after].map(
        (node) => node !== undefined && isLoadBalancerNode(node),
      );
      if (was !== is) for (const key of ensured.keys()) reconciler.enqueue(key);
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener?.[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

function hasFinalizer({ metadata }: Service): boolean {
  return (metadata.finalizers ?? []).includes(LOAD_BALANCER_FINALIZER);
}

function hasAddress(service: Service | undefined): boolean {
  return (service?.status?.loadBalancer?.ingress ?? []).length > 0;
}

function isSameStatus(a: LoadBalancerStatus | undefined, b: LoadBalancerStatus): boolean {
  return deepEqual(a?.ingress ?? [], b.ingress ?? []);
}

function namesOf(nodes: readonly Node[]): string {
  return nodes
    .map(({ metadata }) => metadata.name)
    .toSorted()
    .join();
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
