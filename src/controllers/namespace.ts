import { servedKindOf } from "../api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../api/apiextensions/customresourcedefinition.kind.ts";
import { KINDS } from "../api/kinds.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import type { Namespace } from "../api/v1/namespace.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface NamespaceControllerDeps {
  readonly client: Pick<ApiClient, "list" | "deleteCollection" | "replaceSubresource">;
  readonly informers: Informers;
  /** Every kind that the API serves, those of the cluster passed over; default all that we know. */
  readonly kinds?: readonly KindDefinition[] | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** While this is in `spec.finalizers` the Namespace stays: it waits for this controller. */
const FINALIZER = "kubernetes";
const CONCURRENCY = 4;
/** Pods take their grace, and finalizers their owners' time. */
const REMAINING_RETRY_MS = 200;

/** Empties a Namespace that is being deleted, and then lets it go. */
export function startNamespaceController(deps: NamespaceControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const builtIn = (deps.kinds ?? KINDS).filter(({ namespaced }) => namespaced);
  const namespaces = informers.of(namespaceKind);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    const namespace = namespaces.get(key);
    if (namespace === undefined || !isEmptied(namespace)) return { kind: "done" };
    const { name } = namespace.metadata;
    const kinds = [...builtIn, ...(await customKinds(signal))];
    let remaining = 0;
    for (const kind of kinds) remaining += await empty(kind, name, signal);
    if (remaining > 0) return { kind: "again", afterMs: REMAINING_RETRY_MS };
    await release(namespace, signal);
    return { kind: "done" };
  };

  const definitions = async (signal: AbortSignal) => {
    try {
      return (await client.list(customResourceDefinitionKind, { signal })).items;
    } catch (error) {
      // A server without definitions has no custom resources either.
      if (!hasReason(error, "NotFound")) throw error;
      return [];
    }
  };

  /** Asked for anew each time: a definition that is not known yet would leave its objects behind. */
  const customKinds = async (signal: AbortSignal): Promise<readonly KindDefinition[]> => {
    const items = await definitions(signal);
    return items.flatMap(servedKindOf).filter(({ namespaced }) => namespaced);
  };

  /** @returns how many objects are left: they wait for a grace or a finalizer. */
  const empty = async (
    kind: KindDefinition,
    namespace: string,
    signal: AbortSignal,
  ): Promise<number> => {
    const before = await client.list(kind, { namespace, signal });
    if (before.items.length === 0) return 0;
    const isMarked = before.items.every(({ metadata }) => metadata.deletionTimestamp !== undefined);
    if (!isMarked) {
      const propagationPolicy = "Background";
      await client.deleteCollection(kind, { namespace, propagationPolicy, signal });
    }
    const after = await client.list(kind, { namespace, signal });
    const left = after.items.length;
    const fields = {
      namespace,
      kind: resourceNameOf(kind),
      deleted: before.items.length - left,
      left,
    };
    if (!isMarked) log.info("namespace content deleted", fields);
    return left;
  };

  const release = async (namespace: Namespace, signal: AbortSignal): Promise<void> => {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== FINALIZER);
    const body = { ...namespace, spec: { ...namespace.spec, finalizers } };
    try {
      await client.replaceSubresource(namespaceKind, namespace.metadata, "finalize", body, {
        signal,
      });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
    log.info("namespace released", { namespace: keyOf(namespace) });
  };

  const reconciler = startReconciler({
    name: "namespace",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listener = namespaces.onChange(({ key, after }) => {
    if (after !== undefined && isEmptied(after)) reconciler.enqueue(key);
  });

  return {
    [Symbol.asyncDispose]: async () => {
      listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** It is being deleted and waits for this controller. */
function isEmptied({ metadata, spec }: Namespace): boolean {
  return metadata.deletionTimestamp !== undefined && (spec?.finalizers ?? []).includes(FINALIZER);
}
