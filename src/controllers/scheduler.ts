import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { ClusterView } from "../core/scheduling/cluster-view.ts";
import { needsPlacement, planPlacement } from "../core/scheduling/placement.ts";
import type { Placement } from "../core/scheduling/placement.ts";
import { WaitingPods } from "../core/scheduling/waiting-pods.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import type { Effect } from "./cluster-feed.ts";

export interface SchedulerDeps {
  readonly client: Pick<ApiClient, "createSubresource" | "patch">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `default-scheduler`. */
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

const SCHEDULER_NAME = "default-scheduler";
/** Pods bound at once: each waits for the API most of the time, and the store commits several together. */
const CONCURRENCY = 16;

/** How soon Pods that wait hear of a new reason: it may change again, and there may be many of them. */
const NEWS_MS = 1_000;

/** Gives every Pod that has no node one that takes it, or says in its status and events why none does. */
export function startScheduler(deps: SchedulerDeps): AsyncDisposable {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const nodes = informers.of(nodeKind);
  const pods = informers.of(podKind);
  const namespaces = informers.of(namespaceKind);
  const view = new ClusterView(() => namespaces.list());
  const feed = new ClusterFeed(view);
  const waiting = new WaitingPods();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [nodes, pods, namespaces]) await informer.synced(signal);
    const pod = pods.get(key);
    if (pod === undefined || !needsPlacement(pod, SCHEDULER_NAME) || feed.isAssumed(pod)) {
      noLongerWaits(key);
      return { kind: "done" };
    }
    const { generation } = view;
    const known = waiting.refusal(pod, generation);
    const placement: Placement =
      known === undefined ? planPlacement(pod, view) : { kind: "unschedulable", message: known };
    if (placement.kind === "unschedulable") {
      const others = waiting.refused(key, pod, placement.message, generation);
      for (const other of others) reconciler.enqueueAfter(other, NEWS_MS);
      await refuse(pod, placement.message, signal);
      return { kind: "done" };
    }
    // Before the first wait, so that Pods placed meanwhile count this one.
    feed.assume(pod, placement.node);
    noLongerWaits(key);
    react("neighbour");
    await bind(pod, placement.node, signal);
    return { kind: "done" };
  };

  const noLongerWaits = (key: ObjectKey): void => {
    const next = waiting.removed(key);
    if (next !== undefined) reconciler.enqueue(next);
  };

  const react = (effect: Effect): void => {
    if (effect === "none" || waiting.size === 0) return;
    const of = effect === "room" ? "all" : "social";
    for (const key of waiting.candidates(of)) reconciler.enqueue(key);
  };

  const bind = async (pod: Pod, node: string, signal: AbortSignal): Promise<void> => {
    const { namespace, name, uid } = pod.metadata;
    const body = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { namespace, name, uid },
      target: { kind: "Node", name: node },
    };
    try {
      await client.createSubresource(podKind, pod.metadata, "binding", body, { signal });
    } catch (error) {
      feed.unassume(pod);
      react("room");
      // It is gone, or has a node by now: its news is on the way.
      if (hasReason(error, "NotFound", "Conflict")) return;
      throw error;
    }
    log.debug("pod placed", { pod: keyOf(pod), node });
    const text = `Successfully assigned ${namespace ?? ""}/${name} to ${node}`;
    events?.record(referenceTo(pod), "Normal", "Scheduled", text);
  };

  const refuse = async (pod: Pod, message: string, signal: AbortSignal): Promise<void> => {
    const current = (pod.status?.conditions ?? []).find(({ type }) => type === "PodScheduled");
    if (current?.status === "False" && current.message === message) return;
    const time = formatTimeMs(now());
    const condition = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message,
      lastTransitionTime: current?.status === "False" ? current.lastTransitionTime : time,
    };
    events?.record(referenceTo(pod), "Warning", "FailedScheduling", message);
    const { uid } = pod.metadata;
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    const patched = { signal, subresource: "status" };
    try {
      await client.patch(podKind, pod.metadata, { kind: "strategic", body }, patched);
    } catch (error) {
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
    }
  };

  const reconciler = startReconciler({
    name: "scheduler",
    concurrency: CONCURRENCY,
    reconcile,
    // Pods of one priority in the order they came.
    rank: (key) => pods.get(key)?.spec.priority ?? 0,
    log,
    metrics,
  });
  const listeners = [
    nodes.onChange((change) => {
      react(feed.observeNode(change));
    }),
    pods.onChange((change) => {
      const { key, after } = change;
      const effect = feed.observePod(change);
      if (after === undefined) noLongerWaits(key);
      else if (needsPlacement(after, SCHEDULER_NAME)) reconciler.enqueue(key);
      react(effect);
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
