import { leaseKind } from "../api/coordination/lease.kind.ts";
import { keyOf, objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import {
  isNodeReady,
  judgeNode,
  lostCondition,
  NODE_GRACE_MS,
  unreadyCondition,
} from "../core/nodes/health.ts";
import type { Heartbeat } from "../core/nodes/health.ts";
import { judgeDisruption, zoneOf } from "../core/nodes/disruption.ts";
import { expellingKey, isExpelling, planTaints } from "../core/nodes/taints.ts";
import type { Expulsion } from "../core/nodes/taints.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface NodeLifecycleControllerDeps {
  readonly client: Pick<ApiClient, "patch">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `node-controller`. */
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export interface NodeLifecycleControllerOptions {
  /** Milliseconds that a node's agent may be silent; default {@link NODE_GRACE_MS}. */
  readonly graceMs?: number | undefined;
}

/** Where agents keep their Leases. */
const LEASE_NAMESPACE = "kube-node-lease";
const BY_NODE = "node-name";

/**
 * Says that a node is not ready when its agent falls silent, and that the Pods of a node that is not ready
 * are not ready either, so that Services stop sending to them (NODE-001). Its state and its cordon become
 * taints, so that no Pod is placed on it, and Pods are driven off: one node after the other, the slower the
 * more nodes of a zone are in trouble, and none when all are.
 */
export function startNodeLifecycleController(
  deps: NodeLifecycleControllerDeps,
  options: NodeLifecycleControllerOptions = {},
): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const { graceMs = NODE_GRACE_MS } = options;
  const nodes = informers.of(nodeKind);
  const pods = informers.of(podKind);
  const leases = informers.of(leaseKind, { namespace: LEASE_NAMESPACE });
  pods.addIndex(BY_NODE, ({ spec }) => [spec.nodeName ?? ""]);
  const heartbeats = new Map<ObjectKey, Heartbeat>();
  /** When the last node of a zone lost its Pods. */
  const lastExpulsionMs = new Map<string, number>();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [nodes, pods, leases]) await informer.synced(signal);
    const node = nodes.get(key);
    if (node === undefined) {
      heartbeats.delete(key);
      return { kind: "done" };
    }
    const lease = leases.get(objectKey({ namespace: LEASE_NAMESPACE, name: node.metadata.name }));
    const { heartbeat, leftMs } = judgeNode(node, lease, heartbeats.get(key), now(), graceMs);
    heartbeats.set(key, heartbeat);
    // The change that this makes comes back, and then brings the taints.
    if (leftMs === 0) await markLost(node, signal);
    if (leftMs === 0 || !isNodeReady(node)) {
      for (const pod of pods.byIndex(BY_NODE, node.metadata.name)) await markUnready(pod, signal);
    }
    const waitMs = await taint(node, signal);
    const againMs = [leftMs, waitMs].filter((ms) => ms !== undefined && ms > 0);
    return againMs.length === 0
      ? { kind: "done" }
      : { kind: "again", afterMs: Math.min(...againMs.map(Number)) };
  };

  /** @returns milliseconds until its Pods may be driven off, if they are to be and may not yet. */
  const taint = async (node: Node, signal: AbortSignal): Promise<number | undefined> => {
    const zone = zoneOf(node);
    const { expulsion, waitMs } = judgeExpulsion(node, zone);
    const taints = planTaints(node, expulsion, time());
    if (taints === undefined) return waitMs;
    // The version makes sure that no taint of others is lost.
    const { resourceVersion } = node.metadata;
    const body = { metadata: { resourceVersion }, spec: { taints } };
    const written = await client.patch(
      nodeKind,
      node.metadata,
      { kind: "merge", body },
      { signal },
    );
    if (isExpelling(written) && !isExpelling(node)) lastExpulsionMs.set(zone, now());
    log.info("node taints written", {
      node: node.metadata.name,
      taints: taints.map(({ key }) => key),
    });
    return waitMs;
  };

  const judgeExpulsion = (
    node: Node,
    zone: string,
  ): { readonly expulsion: Expulsion; readonly waitMs?: number } => {
    if (expellingKey(node) === undefined) return { expulsion: "allowed" };
    const disruption = judgeDisruption(nodes.list());
    if (disruption.isTotal) return { expulsion: "withdrawn" };
    if (isExpelling(node)) return { expulsion: "allowed" };
    const intervalMs = disruption.intervalMs(zone);
    // Until the zone is better: that is a change of a node, which brings us here again.
    if (intervalMs === undefined) return { expulsion: "held" };
    const waitMs = (lastExpulsionMs.get(zone) ?? -intervalMs) + intervalMs - now();
    return waitMs <= 0 ? { expulsion: "allowed" } : { expulsion: "held", waitMs };
  };

  const markLost = async (node: Node, signal: AbortSignal): Promise<void> => {
    const condition = lostCondition(node, time());
    if (condition === undefined) return;
    // The version makes sure that the agent has not spoken meanwhile.
    const { resourceVersion } = node.metadata;
    const body = { metadata: { resourceVersion }, status: { conditions: [condition] } };
    const patched = { signal, subresource: "status" };
    await client.patch(nodeKind, node.metadata, { kind: "strategic", body }, patched);
    log.warn("node lost", { node: node.metadata.name, graceMs });
    const text = `Node ${node.metadata.name} status is now: NodeNotReady`;
    deps.events?.record(referenceTo(node), "Normal", "NodeNotReady", text);
  };

  const markUnready = async (pod: Pod, signal: AbortSignal): Promise<void> => {
    const condition = unreadyCondition(pod, time());
    if (condition === undefined) return;
    const { uid } = pod.metadata;
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    const patched = { signal, subresource: "status" };
    try {
      await client.patch(podKind, pod.metadata, { kind: "strategic", body }, patched);
    } catch (error) {
      // Another Pod of the name, or none: no claim of readiness is left to take back.
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
      return;
    }
    deps.events?.record(referenceTo(pod), "Warning", "NodeNotReady", "Node is not ready");
  };

  const time = (): string => formatTimeMs(now());

  const reconciler = startReconciler({ name: "node-lifecycle", reconcile, log, metrics });
  const listeners = [
    nodes.onChange(({ key, before, after }) => {
      reconciler.enqueue(key);
      const [was, is] = [before, after].map((node) => node !== undefined && isNodeReady(node));
      if (was === is) return;
      // What may be done to nodes in trouble depends on how many are.
      for (const node of nodes.list()) if (!isNodeReady(node)) reconciler.enqueue(keyOf(node));
    }),
    leases.onChange(({ key }) => {
      reconciler.enqueue(objectKey({ name: refOf(key).name }));
    }),
    pods.onChange(({ after }) => {
      // A Pod that claims to be ready on a node that is not.
      const nodeName = after?.spec.nodeName ?? "";
      const node = nodeName === "" ? undefined : nodes.get(objectKey({ name: nodeName }));
      if (node !== undefined && !isNodeReady(node))
        reconciler.enqueue(objectKey({ name: nodeName }));
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
