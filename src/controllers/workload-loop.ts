import { deepEqual } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Draft, KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason, StatusError } from "../api/machinery/status.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult, Reconciler } from "../client/reconcile.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { Owned } from "./owned.ts";

export interface WorkloadDeps {
  readonly client: Pick<
    ApiClient,
    "get" | "create" | "update" | "updateStatus" | "patch" | "delete"
  >;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds; default the clock. */
  readonly now?: (() => number) | undefined;
}

/** What the loops over kinds that own Pods have in common. */
export interface WorkloadLoop<T extends KubernetesObject> extends AsyncDisposable {
  readonly reconciler: Reconciler;
  readonly objects: Informer<T>;
}

export interface PodWorkload<T extends KubernetesObject> {
  readonly pods: Owned<Pod>;
  readonly signal: AbortSignal;
  readonly nowMs: number;
  createPod(owner: T, draft: Draft<Pod>): Promise<Pod | undefined>;
  deletePod(owner: T, pod: Pod): Promise<void>;
  /** @returns the object as written; undefined when there was nothing to write. */
  writeStatus(object: T & { readonly status?: unknown }, status: object): Promise<T | undefined>;
}

const CONCURRENCY = 4;

/** Milliseconds until the nearer of two times; undefined where there is none. */
export function again(...times: readonly (number | undefined)[]): ReconcileResult {
  const given = times.filter((ms) => ms !== undefined);
  return given.length === 0
    ? { kind: "done" }
    : { kind: "again", afterMs: Math.max(10, Math.min(...given)) };
}

/**
 * Starts a loop over the objects of a kind, woken by changes of them and of the Pods they control or could
 * adopt. `reconcile` is called once all caches are filled.
 */
export function startPodWorkload<T extends KubernetesObject>(
  deps: WorkloadDeps,
  kind: KindDefinition<T>,
  options: {
    /** Further informers that must be filled first. */
    readonly needs?: readonly Pick<Informer<KubernetesObject>, "synced">[];
    reconcile(object: T, work: PodWorkload<T>): Promise<ReconcileResult>;
    /** What events say of a Pod that was created or deleted, or not for the error; default as most kinds say it. */
    eventText?(verb: "create" | "delete", owner: T, pod: Draft<Pod>, error?: Error): string;
  },
): WorkloadLoop<T> {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const objects = informers.of(kind);
  const podInformer = informers.of(podKind);
  const pods = new Owned(client, kind, podInformer);

  const createPod = async (
    owner: T,
    draft: Draft<Pod>,
    signal: AbortSignal,
  ): Promise<Pod | undefined> => {
    try {
      const pod = await pods.create(draft, signal);
      const text = options.eventText?.("create", owner, pod) ?? `Created pod: ${pod.metadata.name}`;
      events?.record(referenceTo(owner), "Normal", "SuccessfulCreate", text);
      return pod;
    } catch (error) {
      if (isNamespaceGone(error)) return undefined;
      if (!signal.aborted && error instanceof StatusError) {
        const text =
          options.eventText?.("create", owner, draft, error) ?? `Error creating: ${error.message}`;
        events?.record(referenceTo(owner), "Warning", "FailedCreate", text);
      }
      throw error;
    }
  };

  const reconciler = startReconciler({
    name: kind.singular,
    concurrency: CONCURRENCY,
    log,
    metrics,
    reconcile: async (key, signal) => {
      for (const informer of [objects, podInformer, ...(options.needs ?? [])]) {
        await informer.synced(signal);
      }
      const object = objects.get(key);
      if (object === undefined) return { kind: "done" };
      return options.reconcile(object, {
        pods,
        signal,
        nowMs: now(),
        createPod: (owner, draft) => createPod(owner, draft, signal),
        deletePod: async (owner, pod) => {
          await pods.delete(pod, signal);
          const text =
            options.eventText?.("delete", owner, pod) ?? `Deleted pod: ${pod.metadata.name}`;
          events?.record(referenceTo(owner), "Normal", "SuccessfulDelete", text);
        },
        writeStatus: (given, status) => writeStatus(client, kind, given, status, signal),
      });
    },
  });
  const listeners = [
    objects.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    podInformer.onChange((change) => {
      for (const key of pods.ownersOf(change)) reconciler.enqueue(key);
      const { after } = change;
      const isOrphan =
        after?.metadata.ownerReferences?.some(({ controller }) => controller) !== true;
      if (after === undefined || !isOrphan) return;
      for (const object of objects.list()) {
        if (object.metadata.namespace === after.metadata.namespace) {
          reconciler.enqueue(keyOf(object));
        }
      }
    }),
  ];
  return {
    reconciler,
    objects,
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** Writes a status that differs from the one there is. */
export async function writeStatus<T extends KubernetesObject>(
  client: Pick<ApiClient, "updateStatus">,
  kind: KindDefinition<T>,
  object: T & { readonly status?: unknown },
  status: object,
  signal: AbortSignal,
): Promise<T | undefined> {
  if (deepEqual(withoutZeros(object.status ?? {}), withoutZeros(status))) return undefined;
  try {
    return await client.updateStatus(kind, { ...object, status }, { signal });
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
    return undefined;
  }
}

/** The server drops counts of zero, as Go's `omitempty` does. */
function withoutZeros(status: object): object {
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== 0 && value !== undefined),
  );
}
