import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { ipAddressKind } from "../api/networking/ipaddress.kind.ts";
import { serviceCidrKind } from "../api/networking/servicecidr.kind.ts";
import { SERVICE_CIDR_FINALIZER, SERVICE_CIDR_READY } from "../api/networking/servicecidr.ts";
import type { ServiceCIDR } from "../api/networking/servicecidr.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { DELETION_GRACE_MS, planServiceCidr } from "../core/allocation/service-cidr-plan.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface ServiceCidrControllerDeps {
  readonly client: Pick<ApiClient, "list" | "patch">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export interface ServiceCidrControllerOptions {
  /** Milliseconds between deletion and the end, at least; default {@link DELETION_GRACE_MS}. */
  readonly graceMs?: number | undefined;
}

/**
 * Says which ServiceCIDRs are ready, and lets one that is deleted go only when no Service needs its addresses
 * any more (ALLOC-018 to ALLOC-021).
 */
export function startServiceCidrController(
  deps: ServiceCidrControllerDeps,
  options: ServiceCidrControllerOptions = {},
): AsyncDisposable {
  const { client, informers, log, metrics, now = Date.now } = deps;
  const { graceMs = DELETION_GRACE_MS } = options;
  const serviceCidrs = informers.of(serviceCidrKind);
  const addresses = informers.of(ipAddressKind);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [serviceCidrs, addresses]) await informer.synced(signal);
    const serviceCidr = serviceCidrs.get(key);
    if (serviceCidr === undefined) return { kind: "done" };
    const situation = { serviceCidr, all: serviceCidrs.list(), nowMs: now(), graceMs };
    const step = planServiceCidr({ ...situation, addresses: addresses.list() });
    switch (step.kind) {
      case "nothing":
        return { kind: "done" };
      case "wait":
        return { kind: "again", afterMs: step.afterMs };
      case "addFinalizer":
        return patchFinalizers(serviceCidr, signal, (old) => [...old, SERVICE_CIDR_FINALIZER]);
      case "markReady":
        return setReady(serviceCidr, signal, { status: "True", reason: "", message: step.message });
      case "markTerminating": {
        const { message } = step;
        return setReady(serviceCidr, signal, { status: "False", reason: "Terminating", message });
      }
      case "removeFinalizer": {
        // The caches may be behind; nothing undoes this step, so it asks the API itself.
        const [all, held] = await Promise.all([
          client.list(serviceCidrKind, { signal }),
          client.list(ipAddressKind, { signal }),
        ]);
        const fresh = { ...situation, all: all.items, addresses: held.items };
        if (planServiceCidr(fresh).kind !== "removeFinalizer") {
          return { kind: "again", afterMs: 0 };
        }
        log.info("service CIDR released", { serviceCidr: key, cidrs: serviceCidr.spec.cidrs });
        return patchFinalizers(serviceCidr, signal, (old) =>
          old.filter((one) => one !== SERVICE_CIDR_FINALIZER),
        );
      }
    }
  };

  /** The change comes back as an event, which asks for the next step. */
  const patchFinalizers = async (
    { metadata }: ServiceCIDR,
    signal: AbortSignal,
    change: (old: readonly string[]) => readonly string[],
  ): Promise<ReconcileResult> => {
    const { resourceVersion, finalizers = [] } = metadata;
    const body = { metadata: { resourceVersion, finalizers: change(finalizers) } };
    return ignoringGone(
      client.patch(serviceCidrKind, metadata, { kind: "merge", body }, { signal }),
    );
  };

  const setReady = async (
    { metadata }: ServiceCIDR,
    signal: AbortSignal,
    value: { readonly status: string; readonly reason: string; readonly message: string },
  ): Promise<ReconcileResult> => {
    const lastTransitionTime = formatTimeMs(now());
    const condition = { type: SERVICE_CIDR_READY, lastTransitionTime, ...value };
    const body = {
      metadata: { resourceVersion: metadata.resourceVersion },
      status: { conditions: [condition] },
    };
    const patched = { signal, subresource: "status" };
    return ignoringGone(
      client.patch(serviceCidrKind, metadata, { kind: "strategic", body }, patched),
    );
  };

  const reconciler = startReconciler({ name: "servicecidr", reconcile, log, metrics });
  const enqueueLeaving = () => {
    for (const one of serviceCidrs.list()) {
      if (one.metadata.deletionTimestamp !== undefined) reconciler.enqueue(keyOf(one));
    }
  };
  const listeners = [
    serviceCidrs.onChange(({ key }) => {
      reconciler.enqueue(key);
      // It may cover what another one that goes still holds.
      enqueueLeaving();
    }),
    addresses.onChange(({ after }) => {
      if (after === undefined) enqueueLeaving();
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** Whoever deleted it or changed it meanwhile caused an event, which asks again. */
async function ignoringGone(write: Promise<unknown>): Promise<ReconcileResult> {
  try {
    await write;
  } catch (error) {
    if (!hasReason(error, "NotFound", "Conflict")) throw error;
  }
  return { kind: "done" };
}
