import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs, parseTimestamp } from "../api/machinery/time.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Taint } from "../api/v1/taint.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { disruptionCondition, evictionTimeMs } from "../core/nodes/eviction.ts";
import type { SeenTaint } from "../core/nodes/eviction.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";

export interface TaintEvictionControllerDeps {
  readonly client: Pick<ApiClient, "patch" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `taint-eviction-controller`. */
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const BY_NODE = "node-name";
const CONCURRENCY = 4;

/** Deletes Pods from nodes with taints of effect NoExecute that they do not, or no longer, tolerate. */
export function startTaintEvictionController(deps: TaintEvictionControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const nodes = informers.of(nodeKind);
  const pods = informers.of(podKind);
  pods.addIndex(BY_NODE, ({ spec }) => [spec.nodeName ?? ""]);
  const evictions = (metrics ?? new Metrics())
    .counter("taint_eviction_controller_pod_deletions_total", "Pods deleted because of taints.")
    .with();
  /** Since when nodes have their taints, for those that do not say. */
  const seen = new Map<ObjectKey, ReadonlyMap<string, number>>();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [nodes, pods]) await informer.synced(signal);
    const node = nodes.get(key);
    const taints = node === undefined ? [] : seenTaints(key, node);
    if (node === undefined || taints.length === 0) {
      seen.delete(key);
      return { kind: "done" };
    }
    let nextMs = Number.POSITIVE_INFINITY;
    for (const pod of pods.byIndex(BY_NODE, node.metadata.name)) {
      const atMs = evictionTimeMs(pod, taints);
      if (atMs === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
      if (atMs <= now()) await evict(pod, signal);
      else nextMs = Math.min(nextMs, atMs);
    }
    return nextMs === Number.POSITIVE_INFINITY
      ? { kind: "done" }
      : { kind: "again", afterMs: Math.max(1, nextMs - now()) };
  };

  const seenTaints = (key: ObjectKey, node: Node): readonly SeenTaint[] => {
    const before = seen.get(key);
    const since = new Map<string, number>();
    const taints = (node.spec.taints ?? []).filter(({ effect }) => effect === "NoExecute");
    const result = taints.map((taint) => {
      const id = `${taint.key}=${taint.value ?? ""}`;
      const sinceMs = before?.get(id) ?? timeAddedMs(taint) ?? now();
      since.set(id, sinceMs);
      return { taint, sinceMs };
    });
    seen.set(key, since);
    return result;
  };

  const evict = async (pod: Pod, signal: AbortSignal): Promise<void> => {
    const { namespace = "", name, uid = "" } = pod.metadata;
    const at = formatTimeMs(now());
    const text = "Taint manager: deleting due to NoExecute taint";
    const condition = disruptionCondition("DeletionByTaintManager", text, at);
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    const patched = { signal, subresource: "status" };
    const news = `Marking for deletion Pod ${namespace}/${name}`;
    deps.events?.record(referenceTo(pod), "Normal", "TaintManagerEviction", news);
    try {
      await client.patch(podKind, pod.metadata, { kind: "strategic", body }, patched);
      await client.delete(podKind, pod.metadata, { signal, preconditions: { uid } });
    } catch (error) {
      // It is gone, or another Pod of the name by now.
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
      return;
    }
    evictions.inc();
    log.info("pod evicted", { pod: `${namespace}/${name}`, node: pod.spec.nodeName });
  };

  const reconciler = startReconciler({
    name: "taint-eviction",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listeners = [
    nodes.onChange(({ key, before, after }) => {
      if (isTainted(before) || isTainted(after)) reconciler.enqueue(key);
    }),
    pods.onChange(({ after }) => {
      const key = objectKey({ name: after?.spec.nodeName ?? "" });
      if (isTainted(nodes.get(key))) reconciler.enqueue(key);
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

function isTainted(node: Node | undefined): boolean {
  return (node?.spec.taints ?? []).some(({ effect }) => effect === "NoExecute");
}

function timeAddedMs({ timeAdded }: Taint): number | undefined {
  const time = timeAdded === undefined ? undefined : parseTimestamp(timeAdded);
  return time && time.seconds * 1000;
}
