import { KINDS } from "../api/kinds.ts";
import { apiVersionOf, resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject, OwnerReference } from "../api/machinery/metadata.ts";
import { keyOf, objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informer } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER, planGarbage } from "../core/workloads/garbage.ts";
import type { OwnerState } from "../core/workloads/garbage.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface GarbageCollectorDeps {
  readonly client: Pick<ApiClient, "get" | "patch" | "delete">;
  /** Gives the informer of a kind; metadata is all that is read. */
  readonly informerOf: (kind: KindDefinition) => Informer<KubernetesObject>;
  /** Every served kind; default all that we know. */
  readonly kinds?: readonly KindDefinition[] | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

const BY_OWNER = "owner-uid";
const CONCURRENCY = 8;
/** When dependents wait for their grace: their end wakes the owner anyway. */
const WAITING_RETRY_MS = 10_000;

/** Kinds that own nothing and belong to nobody, and are many. */
function isCollected({ group, kind }: KindDefinition): boolean {
  return !(group === "" && kind === "Event");
}

/** A key of one object of any kind: the resource's name and the object's key. */
function itemOf(kind: KindDefinition, key: ObjectKey): string {
  return `${resourceNameOf(kind)} ${key}`;
}

/**
 * Deletes what belonged to objects that are gone, and sees deletions through that asked for it (foreground,
 * orphan). Decided by {@link planGarbage}; that an owner is gone is always asked of the API, never of a cache.
 */
export function startGarbageCollector(deps: GarbageCollectorDeps): AsyncDisposable {
  const { client, log, metrics } = deps;
  const kinds = (deps.kinds ?? KINDS).filter(isCollected);
  const watched = kinds.map((kind) => ({ kind, informer: deps.informerOf(kind) }));
  const byResource = new Map(watched.map((one) => [resourceNameOf(one.kind), one]));
  const byOwnerKind = new Map(
    watched.map((one) => [`${apiVersionOf(one.kind)} ${one.kind.kind}`, one]),
  );
  for (const { informer } of watched) {
    informer.addIndex(BY_OWNER, ({ metadata }) =>
      (metadata.ownerReferences ?? []).map(({ uid }) => uid),
    );
  }

  interface Dependent {
    readonly kind: KindDefinition;
    readonly object: KubernetesObject;
  }
  const dependentsOf = (uid: string): readonly Dependent[] =>
    watched.flatMap(({ kind, informer }) =>
      informer.byIndex(BY_OWNER, uid).map((object) => ({ kind, object })),
    );

  const stateOf = async (
    object: KubernetesObject,
    reference: OwnerReference,
    signal: AbortSignal,
  ): Promise<OwnerState> => {
    const owner = byOwnerKind.get(`${reference.apiVersion} ${reference.kind}`);
    if (owner === undefined) return { kind: "unknown" };
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
    for (const { informer } of watched) await informer.synced(signal);
    const [resource = "", key = ""] = item.split(" ");
    const found = byResource.get(resource);
    // Items are made of keys: see itemOf.
    const object = found?.informer.get(key as ObjectKey);
    if (found === undefined || object === undefined) return { kind: "done" };
    const { kind } = found;
    const uid = object.metadata.uid ?? "";
    const references = object.metadata.ownerReferences ?? [];
    const states = new Map<string, OwnerState>();
    for (const reference of references) {
      states.set(reference.uid, await stateOf(object, reference, signal));
    }
    const dependents = dependentsOf(uid);
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
    const ownerReferences = uids.map((uid) => ({ $patch: "delete", uid }));
    const body = { metadata: { uid: object.metadata.uid, ownerReferences } };
    try {
      await client.patch(kind, object.metadata, { kind: "strategic", body }, { signal });
    } catch (error) {
      // It is gone, or another one has its name.
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
    }
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
    for (const { apiVersion, kind, name } of object.metadata.ownerReferences ?? []) {
      const owner = byOwnerKind.get(`${apiVersion} ${kind}`);
      if (owner === undefined) continue;
      const { namespace } = object.metadata;
      const key = objectKey({ name, ...(owner.kind.namespaced ? { namespace } : {}) });
      const cached = owner.informer.get(key);
      if (cached?.metadata.deletionTimestamp !== undefined)
        reconciler.enqueue(itemOf(owner.kind, key));
    }
  };
  const listeners = watched.map(({ kind, informer }) =>
    informer.onChange(({ key, before, after }) => {
      if (before !== undefined && before.metadata.uid !== after?.metadata.uid) {
        for (const one of dependentsOf(before.metadata.uid ?? "")) {
          reconciler.enqueue(itemOf(one.kind, keyOf(one.object)));
        }
      }
      const hadOwners = (before?.metadata.ownerReferences ?? []).length > 0;
      if (before !== undefined && hadOwners) enqueueOwners(before);
      if (after === undefined) return;
      if (isConcerned(after, before)) reconciler.enqueue(itemOf(kind, key));
    }),
  );
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

function there({ metadata }: KubernetesObject): OwnerState {
  const isWaiting =
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers ?? []).includes(FOREGROUND_FINALIZER);
  return { kind: "there", isWaiting };
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
