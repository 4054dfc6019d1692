import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTime } from "../api/machinery/time.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { needsPlacement, planPlacement } from "../core/scheduling/placement.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { NodeLoads } from "./node-loads.ts";

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
/** Pods bound at once: each waits for the API most of the time. */
const CONCURRENCY = 4;

/** Gives every Pod that has no node one that takes it, or says in its status and events why none does. */
export function startScheduler(deps: SchedulerDeps): AsyncDisposable {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const nodes = informers.of(nodeKind);
  const pods = informers.of(podKind);
  const loads = new NodeLoads();
  const unplaced = new Set<ObjectKey>();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    await nodes.synced(signal);
    await pods.synced(signal);
    const pod = pods.get(key);
    if (pod === undefined || !needsPlacement(pod, SCHEDULER_NAME) || loads.isAssumed(pod)) {
      unplaced.delete(key);
      return { kind: "done" };
    }
    const placement = planPlacement({
      pod,
      nodes: nodes.list(),
      podCountOf: (name) => loads.countOn(name),
      hostPortsOn: (name) => loads.hostPortsOn(name),
    });
    if (placement.kind === "unschedulable") {
      unplaced.add(key);
      await refuse(pod, placement.message, signal);
      return { kind: "done" };
    }
    await bind(pod, placement.node, signal);
    unplaced.delete(key);
    return { kind: "done" };
  };

  const bind = async (pod: Pod, node: string, signal: AbortSignal): Promise<void> => {
    const { namespace, name, uid } = pod.metadata;
    // Before the first wait, so that Pods placed meanwhile count this one.
    loads.assume(pod, node);
    const body = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { namespace, name, uid },
      target: { kind: "Node", name: node },
    };
    try {
      await client.createSubresource(podKind, pod.metadata, "binding", body, { signal });
    } catch (error) {
      loads.unassume(pod);
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
    const time = formatTime({ seconds: Math.floor(now() / 1000), nanos: 0 });
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
    log,
    metrics,
  });
  const tryAgain = (): void => {
    for (const key of unplaced) reconciler.enqueue(key);
  };
  const listeners = [
    pods.onChange((change) => {
      const { key, after } = change;
      const isFreed = loads.observe(change);
      if (after === undefined) unplaced.delete(key);
      else if (needsPlacement(after, SCHEDULER_NAME)) reconciler.enqueue(key);
      // Its host ports may be what another Pod waits for.
      if (isFreed) tryAgain();
    }),
    nodes.onChange(tryAgain),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
