import { KINDS } from "../api/kinds.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject, OwnerReference } from "../api/machinery/metadata.ts";
import { keyOf, objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informer, Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import {
  FOREGROUND_FINALIZER,
  isWaiting,
  ORPHAN_FINALIZER,
  planGarbage,
} from "../core/workloads/garbage.ts";
import type { OwnerState } from "../core/workloads/garbage.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { startCollectedKinds } from "./collected-kinds.ts";
import type { CollectedObject } from "./collected-kinds.ts";

export interface GarbageCollectorDeps {
  readonly client: Pick<ApiClient, "get" | "patch" | "delete">;
  /** Gives the informer of a kind; metadata is all that is read, but of definitions. */
  readonly informerOf: (kind: KindDefinition) => Informer<KubernetesObject>;
  /** Informers for one custom resource, disposed of with it. */
  readonly openInformers: () => Informers;
  /** Every built-in kind; default all that we know. */
  readonly kinds?: readonly KindDefinition[] | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

const CONCURRENCY = 8;
/** When dependents wait for their grace: their end wakes the owner anyway. */
const WAITING_RETRY_MS = 10_000;

/** Not Events, which own nothing, belong to nobody, and are many; nor what another kind's objects are as well. */
function isCollected({ group, kind, storedAs }: KindDefinition): boolean {
  return storedAs === undefined && !(group === "" && kind === "Event");
}

/** A key of one object of any kind: the resource's name and the object's key. */
function itemOf(kind: KindDefinition, key: ObjectKey): string {
  return `${resourceNameOf(kind)} ${key}`;
}

/**
 * Deletes what belonged to objects that are gone, and sees deletions through that asked for it (foreground,
 * orphan), custom resources among them. Decided by {@link planGarbage}; that an owner is gone is always asked of
 * the API, never of a cache.
 */
export function startGarbageCollector(deps: GarbageCollectorDeps): AsyncDisposable {
  const { client, log, metrics } = deps;

  const stateOf = async (
    object: KubernetesObject,
    isNamespaced: boolean,
    reference: OwnerReference,
    signal: AbortSignal,
  ): Promise<OwnerState> => {
    const owner = collected.ownerOf(reference);
    // An object of the cluster cannot be owned by one of some namespace.
    if (owner === undefined || (owner.kind.namespaced && !isNamespaced)) return { kind: "unknown" };
    const ref = {
      name: reference.name,
      ...(owner.kind.namespaced ? { namespace: object.metadata.namespace } : {}),
    };
    const cached = owner.informer.get(objectKey(ref));
    if (cached?.metadata.uid === reference.uid) return there(cached);
    try {
      const found = await client.get(owner.kind, ref, { signal });
      return found.metadata.uid === reference.uid ? there(found) : { kind: "gone" };
    } catch (error) {
      if (hasReason(error, "NotFound")) return { kind: "gone" };
      throw error;
    }
  };

  const reconcile = async (item: string, signal: AbortSignal): Promise<ReconcileResult> => {
    await collected.synced(signal);
    const [resource = "", key = ""] = item.split(" ");
    const found = collected.ofResource(resource);
    // Items are made of keys: see itemOf.
    const object = found?.informer.get(key as ObjectKey);
    if (found === undefined || object === undefined) return { kind: "done" };
    const { kind } = found;
    const uid = object.metadata.uid ?? "";
    const references = object.metadata.ownerReferences ?? [];
    const states = new Map<string, OwnerState>();
    for (const reference of references) {
      states.set(reference.uid, await stateOf(object, kind.namespaced, reference, signal));
    }
    const dependents = collected.dependentsOf(uid);
    const kindOf = new Map(dependents.map((one) => [one.object, one.kind]));
    const plan = planGarbage({
      object,
      ownerOf: (reference) => states.get(reference.uid) ?? { kind: "unknown" },
      dependents: dependents.map((one) => one.object),
    });
    switch (plan.kind) {
      case "nothing":
        return { kind: "done" };
      case "orphan":
        for (const one of plan.dependents) {
          await forget(kindOf.get(one) ?? kind, one, [uid], signal);
        }
        await release(kind, object, ORPHAN_FINALIZER, signal);
        return { kind: "done" };
      case "foreground":
        for (const one of plan.delete)
          reconciler.enqueue(itemOf(kindOf.get(one) ?? kind, keyOf(one)));
        if (!plan.isDone) return { kind: "again", afterMs: WAITING_RETRY_MS };
        await release(kind, object, FOREGROUND_FINALIZER, signal);
        return { kind: "done" };
      case "forget":
        await forget(kind, object, plan.uids, signal);
        return { kind: "done" };
      case "delete":
        if (plan.isCircular) await unblock(kind, object, signal);
        await remove(kind, object, plan.policy, signal);
        return { kind: "done" };
      default:
        return plan satisfies never;
    }
  };

  const forget = async (
    kind: KindDefinition,
    object: KubernetesObject,
    uids: readonly string[],
    signal: AbortSignal,
  ): Promise<void> => {
    const { uid, resourceVersion, ownerReferences = [] } = object.metadata;
    const kept = ownerReferences.filter((one) => !uids.includes(one.uid));
    if (kept.length === ownerReferences.length) return;
    // Custom resources know no strategic patch: the whole list is written, of this very version.
    const body = { metadata: { uid, resourceVersion, ownerReferences: kept } };
    try {
      await client.patch(kind, object.metadata, { kind: "merge", body }, { signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
  };

  /** Its owners need not wait for it. */
  const unblock = async (
    kind: KindDefinition,
    object: KubernetesObject,
    signal: AbortSignal,
  ): Promise<void> => {
    const { uid, ownerReferences = [] } = object.metadata;
    const freed = ownerReferences.map((one) => ({ ...one, blockOwnerDeletion: false }));
    const body = { metadata: { uid, ownerReferences: freed } };
    await client.patch(kind, object.metadata, { kind: "merge", body }, { signal });
  };

  const release = async (
    kind: KindDefinition,
    object: KubernetesObject,
    finalizer: string,
    signal: AbortSignal,
  ): Promise<void> => {
    const { uid, resourceVersion, finalizers = [] } = object.metadata;
    const kept = finalizers.filter((one) => one !== finalizer);
    const body = { metadata: { uid, resourceVersion, finalizers: kept } };
    try {
      await client.patch(kind, object.metadata, { kind: "merge", body }, { signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
  };

  const remove = async (
    kind: KindDefinition,
    object: KubernetesObject,
    propagationPolicy: "Background" | "Foreground" | "Orphan",
    signal: AbortSignal,
  ): Promise<void> => {
    const { uid, resourceVersion } = object.metadata;
    // Of this very version: it may have got another owner meanwhile.
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    try {
      await client.delete(kind, object.metadata, { preconditions, propagationPolicy, signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      return;
    }
    log.debug("garbage deleted", { resource: resourceNameOf(kind), ...refOf(keyOf(object)) });
  };

  const reconciler = startReconciler<string>({
    name: "garbagecollector",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });

  const enqueueOwners = (object: KubernetesObject): void => {
    for (const reference of object.metadata.ownerReferences ?? []) {
      const owner = collected.ownerOf(reference);
      if (owner === undefined) continue;
      const { namespace } = object.metadata;
      const key = objectKey({
        name: reference.name,
        ...(owner.kind.namespaced ? { namespace } : {}),
      });
      const cached = owner.informer.get(key);
      if (cached?.metadata.deletionTimestamp !== undefined)
        reconciler.enqueue(itemOf(owner.kind, key));
    }
  };
  const enqueueAll = (objects: readonly CollectedObject[]): void => {
    for (const { kind, object } of objects) reconciler.enqueue(itemOf(kind, keyOf(object)));
  };
  const collected = startCollectedKinds({
    kinds: (deps.kinds ?? KINDS).filter(isCollected),
    informerOf: deps.informerOf,
    openInformers: deps.openInformers,
    onLost: enqueueAll,
    onChange: (kind, { key, before, after }) => {
      if (before !== undefined && before.metadata.uid !== after?.metadata.uid) {
        enqueueAll(collected.dependentsOf(before.metadata.uid ?? ""));
      }
      const hadOwners = (before?.metadata.ownerReferences ?? []).length > 0;
      if (before !== undefined && hadOwners) enqueueOwners(before);
      if (after === undefined) return;
      if (isConcerned(after, before)) reconciler.enqueue(itemOf(kind, key));
    },
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await reconciler[Symbol.asyncDispose]();
      await collected[Symbol.asyncDispose]();
    },
  };
}

function there(object: KubernetesObject): OwnerState {
  return { kind: "there", isWaiting: isWaiting(object) };
}

/** New to us with owners, or being deleted in a way that needs us. Its owners' ends come as their own news. */
function isConcerned(after: KubernetesObject, before: KubernetesObject | undefined): boolean {
  const { ownerReferences = [], finalizers = [], deletionTimestamp } = after.metadata;
  if (deletionTimestamp !== undefined) {
    return finalizers.includes(ORPHAN_FINALIZER) || finalizers.includes(FOREGROUND_FINALIZER);
  }
  if (ownerReferences.length === 0) return false;
  const uids = (object: KubernetesObject): string =>
    (object.metadata.ownerReferences ?? []).map(({ uid }) => uid).join(" ");
  return before === undefined || uids(before) !== uids(after);
}
