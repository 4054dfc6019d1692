import { servedKindOf } from "../api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../api/apiextensions/customresourcedefinition.kind.ts";
import { KINDS } from "../api/kinds.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import type { Namespace } from "../api/v1/namespace.ts";
import { backoff } from "../async/backoff.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { planTerminationConditions } from "../core/namespaces/termination.ts";
import type { Remaining } from "../core/namespaces/termination.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface NamespaceControllerDeps {
  readonly client: Pick<
    ApiClient,
    "list" | "deleteCollection" | "replaceSubresource" | "updateStatus"
  >;
  readonly informers: Informers;
  /** Every kind that the API serves, those of the cluster passed over; default all that we know. */
  readonly kinds?: readonly KindDefinition[] | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** While this is in `spec.finalizers` the Namespace stays: it waits for this controller. */
const FINALIZER = "kubernetes";
const CONCURRENCY = 4;
/** Pods take their grace, and finalizers their owners' time: the longer it takes, the seldomer the look. */
const REMAINING_RETRY = { baseMs: 200, maxMs: 5_000 };

/** What came of one pass over all kinds. */
interface Emptied {
  readonly discoveryErrors: string[];
  readonly deletionErrors: string[];
  /** All of them, to be logged. */
  readonly errors: unknown[];
  readonly remaining: Remaining[];
}

/** Empties a Namespace that is being deleted, and then lets it go. */
export function startNamespaceController(deps: NamespaceControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const builtIn = (deps.kinds ?? KINDS).filter(({ namespaced }) => namespaced);
  const namespaces = informers.of(namespaceKind);
  /** How often those that wait have been looked at. */
  const looks = new Map<ObjectKey, number>();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    const namespace = namespaces.get(key);
    if (namespace === undefined || !isEmptied(namespace)) {
      looks.delete(key);
      return { kind: "done" };
    }
    const emptied = await emptyAll(namespace.metadata.name, signal);
    const { errors, remaining } = emptied;
    const written = await writeConditions(namespace, emptied, signal);
    if (errors.length > 0) throw new AggregateError(errors, "the namespace could not be emptied");
    if (remaining.length > 0) {
      const look = looks.get(key) ?? 0;
      looks.set(key, look + 1);
      return { kind: "again", afterMs: backoff(look, REMAINING_RETRY, Math.random) };
    }
    looks.delete(key);
    await release(written, signal);
    return { kind: "done" };
  };

  /** Pods first, and nothing else before they are gone: what they use they have to the end (KEP-5080). */
  const emptyAll = async (name: string, signal: AbortSignal): Promise<Emptied> => {
    const emptied: Emptied = { discoveryErrors: [], errors: [], deletionErrors: [], remaining: [] };
    const custom = await customKinds(signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      emptied.discoveryErrors.push(textOf(error));
      emptied.errors.push(error);
      return [];
    });
    const isPods = ({ group, plural }: KindDefinition): boolean =>
      group === "" && plural === "pods";
    const kinds = [...builtIn, ...custom];
    for (const kind of [...kinds.filter(isPods), ...kinds.filter((one) => !isPods(one))]) {
      if (emptied.remaining.some(({ group, plural }) => group === "" && plural === "pods")) break;
      try {
        const left = await empty(kind, name, signal);
        if (left.count > 0) emptied.remaining.push(left);
      } catch (error) {
        if (signal.aborted) throw error;
        emptied.deletionErrors.push(textOf(error));
        emptied.errors.push(error);
      }
    }
    return emptied;
  };

  const writeConditions = async (
    namespace: Namespace,
    { discoveryErrors, deletionErrors, remaining }: Emptied,
    signal: AbortSignal,
  ): Promise<Namespace> => {
    const conditions = planTerminationConditions({
      conditions: namespace.status?.conditions ?? [],
      discoveryErrors,
      deletionErrors,
      remaining,
      now: formatTimeMs(now()),
    });
    if (conditions === undefined) return namespace;
    const status = { ...namespace.status, conditions };
    return client.updateStatus(namespaceKind, { ...namespace, status }, { signal });
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

  /** @returns which objects are left: they wait for a grace or a finalizer. */
  const empty = async (
    kind: KindDefinition,
    namespace: string,
    signal: AbortSignal,
  ): Promise<Remaining> => {
    const { group, plural } = kind;
    const before = await client.list(kind, { namespace, signal });
    if (before.items.length === 0) return { group, plural, count: 0, finalizers: new Map() };
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
    const finalizers = new Map<string, number>();
    for (const name of after.items.flatMap(({ metadata }) => metadata.finalizers ?? [])) {
      finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
    }
    return { group, plural, count: left, finalizers };
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

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** It is being deleted and waits for this controller. */
function isEmptied({ metadata, spec }: Namespace): boolean {
  return metadata.deletionTimestamp !== undefined && (spec?.finalizers ?? []).includes(FINALIZER);
}
