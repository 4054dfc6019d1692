import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { endpointsKind } from "../api/v1/endpoints.kind.ts";
import type { Endpoints } from "../api/v1/endpoints.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import {
  isMirrored,
  isMirrorSlice,
  MAX_MIRRORED_PER_SUBSET,
  planMirror,
} from "../core/endpoints/mirror.ts";
import type { MirrorPlan } from "../core/endpoints/mirror.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { SliceWriter } from "./slice-writer.ts";

export interface EndpointSliceMirroringDeps {
  readonly client: Pick<ApiClient, "get" | "create" | "update" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `endpoint-slice-mirroring-controller`. */
  readonly events?: EventRecorder | undefined;
}

/** Objects worked on at once. */
const CONCURRENCY = 4;
const UNSURE_RETRY_MS = 1_000;

/**
 * Makes slices of the Endpoints objects that users write for Services without selector, so that whoever
 * follows slices sees them (MIRR-001..014). What to write is decided by {@link planMirror}.
 */
export function startEndpointSliceMirroring(deps: EndpointSliceMirroringDeps): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const services = informers.of(serviceKind);
  const endpoints = informers.of(endpointsKind);
  const slices = informers.of(endpointSliceKind);
  const writer = new SliceWriter(client, slices, isMirrorSlice);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [services, endpoints, slices]) await informer.synced(signal);
    const held = writer.of(key);
    const source = endpoints.get(key);
    if (source === undefined || !isMirrored(source, services.get(key))) {
      if (held.length === 0) return { kind: "done" };
      // Watches keep no order between them: only the API itself knows whether there is nothing to mirror.
      if (await isStillMirrored(key, signal)) return { kind: "again", afterMs: UNSURE_RETRY_MS };
      await writer.apply(key, { create: [], update: [], delete: held }, signal);
      return writer.resultOf(key);
    }
    const plan = planMirror(source, held);
    const isChange = plan.create.length + plan.update.length + plan.delete.length > 0;
    if (isChange) noteLeftOut(source, plan);
    try {
      await writer.apply(key, plan, signal);
    } catch (error) {
      if (isNamespaceGone(error)) return { kind: "done" };
      throw error;
    }
    return writer.resultOf(key);
  };

  const isStillMirrored = async (key: ObjectKey, signal: AbortSignal): Promise<boolean> => {
    try {
      const source: Endpoints = await client.get(endpointsKind, refOf(key), { signal });
      const service: Service = await client.get(serviceKind, refOf(key), { signal });
      return isMirrored(source, service);
    } catch (error) {
      if (hasReason(error, "NotFound")) return false;
      throw error;
    }
  };

  const noteLeftOut = (source: Endpoints, plan: MirrorPlan): void => {
    const { invalidAddresses: invalid, skippedAddresses: skipped } = plan;
    if (invalid > 0) {
      const text = `Skipped ${String(invalid)} invalid IP addresses when mirroring to EndpointSlices`;
      deps.events?.record(referenceTo(source), "Warning", "InvalidIPAddress", text);
    }
    if (skipped > 0) {
      const text = `A max of ${String(MAX_MIRRORED_PER_SUBSET)} addresses can be mirrored to EndpointSlices per Endpoints subset. ${String(skipped)} addresses were skipped`;
      deps.events?.record(referenceTo(source), "Warning", "TooManyAddressesToMirror", text);
    }
  };

  const reconciler = startReconciler({
    name: "endpointslicemirroring",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listeners = [
    services.onChange(({ key }) => {
      // Nearly all Services have neither.
      if (endpoints.get(key) !== undefined || writer.of(key).length > 0) reconciler.enqueue(key);
    }),
    endpoints.onChange(({ key, after }) => {
      // Nearly all are of Services with a selector, and their slices are another controller's.
      const isSource = after !== undefined && isMirrored(after, services.get(key));
      if (isSource || writer.of(key).length > 0) reconciler.enqueue(key);
    }),
    slices.onChange((change) => {
      for (const key of writer.observe(change)) reconciler.enqueue(key);
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
