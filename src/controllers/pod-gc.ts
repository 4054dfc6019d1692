import { keyOf } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { disruptionCondition } from "../core/nodes/eviction.ts";
import {
  missingNodes,
  planPodCollection,
  QUARANTINE_MS,
  TERMINATED_THRESHOLD,
} from "../core/nodes/pod-collection.ts";
import type { Collected } from "../core/nodes/pod-collection.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";

export interface PodGcControllerDeps {
  readonly client: Pick<ApiClient, "get" | "patch" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export interface PodGcControllerOptions {
  /** Pods that have ended and are kept; 0: all. Default 12,500. */
  readonly terminatedThreshold?: number | undefined;
  /** Milliseconds between two looks; default 20,000. */
  readonly everyMs?: number | undefined;
}

/** As upstream's gcCheckPeriod. */
const EVERY_MS = 20_000;

/** Deletes Pods that nobody will ever end, each look all at once (NODE-002). */
export function startPodGcController(
  deps: PodGcControllerDeps,
  options: PodGcControllerOptions = {},
): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const { terminatedThreshold = TERMINATED_THRESHOLD, everyMs = EVERY_MS } = options;
  const nodes = informers.of(nodeKind);
  const pods = informers.of(podKind);
  const collections = (metrics ?? new Metrics()).counter(
    "pod_gc_collector_force_delete_pods_total",
    "Pods that were deleted because nobody would have ended them.",
    ["reason"],
  );
  const missingSinceMs = new Map<string, number>();

  const reconcile = async (_key: "pods", signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [nodes, pods]) await informer.synced(signal);
    const known = new Map(nodes.list().map((node) => [node.metadata.name, node]));
    const missing = missingNodes(pods.list(), known);
    for (const name of missingSinceMs.keys()) if (!missing.has(name)) missingSinceMs.delete(name);
    for (const name of missing) {
      if (!missingSinceMs.has(name)) missingSinceMs.set(name, now());
      // The cache may lag: before Pods are given up the node is asked for.
      else if (
        now() - (missingSinceMs.get(name) ?? 0) >= QUARANTINE_MS &&
        (await exists(name, signal))
      )
        missingSinceMs.delete(name);
    }
    const observed = { pods: pods.list(), nodes: known, missingSinceMs, nowMs: now() };
    for (const one of planPodCollection({ ...observed, terminatedThreshold })) {
      await collect(one, signal);
    }
    return { kind: "again", afterMs: everyMs };
  };

  const exists = async (name: string, signal: AbortSignal): Promise<boolean> => {
    try {
      await client.get(nodeKind, { name }, { signal });
      return true;
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      return false;
    }
  };

  const collect = async ({ pod, reason }: Collected, signal: AbortSignal): Promise<void> => {
    const { uid = "" } = pod.metadata;
    try {
      await markFailed(pod, reason === "orphaned", signal);
      await client.delete(podKind, pod.metadata, {
        gracePeriodSeconds: 0,
        preconditions: { uid },
        signal,
      });
    } catch (error) {
      // It is gone, or another Pod of the name by now.
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
      return;
    }
    collections.with({ reason }).inc();
    log.info("pod collected", { pod: keyOf(pod), reason });
  };

  /** So that whoever counts the Pod's outcome sees one: it will never report it. */
  const markFailed = async (pod: Pod, isOrphan: boolean, signal: AbortSignal): Promise<void> => {
    const { phase } = pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed") return;
    const { uid } = pod.metadata;
    const at = formatTimeMs(now());
    const text = "PodGC: node no longer exists";
    const conditions = isOrphan ? [disruptionCondition("DeletionByPodGC", text, at)] : [];
    const body = { metadata: { uid }, status: { phase: "Failed", conditions } };
    const patched = { signal, subresource: "status" };
    await client.patch(podKind, pod.metadata, { kind: "strategic", body }, patched);
  };

  const reconciler = startReconciler<"pods">({ name: "pod-gc", reconcile, log, metrics });
  reconciler.enqueue("pods");
  return reconciler;
}
