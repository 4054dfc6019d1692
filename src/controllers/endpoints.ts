import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason, StatusError } from "../api/machinery/status.ts";
import { endpointsKind } from "../api/v1/endpoints.kind.ts";
import type { Endpoints } from "../api/v1/endpoints.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { isManagedEndpoints, planEndpoints } from "../core/endpoints/endpoints.ts";
import type { EndpointsPlan } from "../core/endpoints/endpoints.ts";
import { hasManagedEndpoints } from "../core/endpoints/selection.ts";
import { planTriggerTime, triggersByEndpoints } from "../core/endpoints/trigger-time.ts";
import type { TriggerState } from "../core/endpoints/trigger-time.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { deleteThis } from "./delete-this.ts";
import { KnownEndpoints } from "./known-endpoints.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { OWN_WRITE_TTL_MS, OwnWrites } from "./own-writes.ts";
import { isServiceGone } from "./service-gone.ts";
import { ServicePods } from "./service-pods.ts";

export interface EndpointsControllerDeps {
  readonly client: Pick<ApiClient, "get" | "create" | "update" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `endpoint-controller`. */
  readonly events?: EventRecorder | undefined;
}

/** Services worked on at once. */
const CONCURRENCY = 4;
/**
 * Pod changes are gathered for so long, and new Services wait for so long. An Endpoints object is written whole for each
 * of its Pods, and nothing on the way of a packet waits for it: it must not be in the way of the slices, which are.
 */
const POD_BATCH_MS = 50;
/** More for each Service that waits already, so that of many new Services all slices come first. */
const SERVICE_WAIT_MS_EACH = 10;
const MAX_SERVICE_WAIT_MS = 1_000;
/** More for each Pod, up to a bound: a thousand addresses are long to work out and to write. */
const POD_BATCH_MS_EACH = 0.5;
const MAX_POD_BATCH_MS = 5_000;
/** From here on working out all addresses anew costs more than remembering them is worth. */
const MANY_PODS = 500;

/** Keeps the Endpoints object of every Service that has a selector, for clients that know no slices (EP-001..017). */
export function startEndpointsController(deps: EndpointsControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const services = informers.of(serviceKind);
  const pods = informers.of(podKind);
  const endpoints = informers.of(endpointsKind);
  const servicePods = new ServicePods(services, pods);
  // An Endpoints object has its Service's name, so its key is its group.
  const own = new OwnWrites<Endpoints>(endpoints, keyOf);
  const triggers = new Map<ObjectKey, TriggerState>();
  const known = new KnownEndpoints();
  /** How many Pods each Service had at the last look. */
  const sizes = new Map<ObjectKey, number>();
  /** Services that changed since the last look. */
  const waiting = new Set<ObjectKey>();

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    waiting.delete(key);
    for (const informer of [services, pods, endpoints]) await informer.synced(signal);
    const service = services.get(key);
    const cached = endpoints.get(key);
    const [existing] = own.view(key, cached === undefined ? [] : [cached]);
    if (service === undefined) {
      triggers.delete(key);
      sizes.delete(key);
      return existing === undefined ? { kind: "done" } : removeOrphan(key, existing, signal);
    }
    if (!hasManagedEndpoints(service)) return { kind: "done" };
    const selected = servicePods.podsOf(service);
    const last = triggers.get(key) ?? triggersByEndpoints(service, selected, existing);
    const { state, triggerTime } = planTriggerTime(service, selected, last);
    sizes.set(key, selected.length);
    const endpointOf = selected.length < MANY_PODS ? undefined : known.of;
    const plan = planEndpoints({ service, pods: selected, existing, triggerTime, endpointOf });
    let isNews = false;
    own.begin(key);
    try {
      await carryOut(service, plan, signal);
    } finally {
      isNews = own.end(key);
    }
    triggers.set(key, state);
    if (isNews) return { kind: "again", afterMs: 0 };
    return own.isWaiting(key) ? { kind: "again", afterMs: OWN_WRITE_TTL_MS } : { kind: "done" };
  };

  const carryOut = async (
    service: Service,
    plan: EndpointsPlan,
    signal: AbortSignal,
  ): Promise<void> => {
    try {
      switch (plan.kind) {
        case "none":
          return;
        case "create":
          own.wrote(await client.create(endpointsKind, plan.object, { signal }));
          return;
        case "update":
          own.wrote(await client.update(endpointsKind, plan.object, { signal }));
          return;
      }
    } catch (error) {
      if (isNamespaceGone(error)) return;
      if (plan.kind === "update") own.forget(plan.object);
      if (!signal.aborted && !hasReason(error, "Conflict", "NotFound", "AlreadyExists")) {
        noteFailure(service, plan, error);
      }
      throw error;
    }
  };

  /** EP-002, EP-014: what this controller made goes with its Service; what others made is theirs. */
  const removeOrphan = async (
    key: ObjectKey,
    orphan: Endpoints,
    signal: AbortSignal,
  ): Promise<ReconcileResult> => {
    if (!isManagedEndpoints(orphan)) return { kind: "done" };
    if (!(await isServiceGone(client, key, signal))) return { kind: "again", afterMs: 1_000 };
    await deleteThis(client, endpointsKind, orphan, { signal });
    own.deleted(orphan);
    return { kind: "done" };
  };

  const noteFailure = (service: Service, plan: EndpointsPlan, error: unknown): void => {
    const [reason, verb] =
      plan.kind === "create"
        ? ["FailedToCreateEndpoint", "create"]
        : ["FailedToUpdateEndpoint", "update"];
    const why = error instanceof StatusError ? error.message : String(error);
    const text = `Failed to ${verb} endpoint ${keyOf(service)}: ${why}`;
    const { namespace, name } = service.metadata;
    const about =
      plan.kind === "update" ? referenceTo(plan.object) : { kind: "Endpoints", namespace, name };
    deps.events?.record(about, "Warning", reason ?? "", text);
  };

  const reconciler = startReconciler({
    name: "endpoints",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listeners = [
    services.onChange(({ key }) => {
      const waitMs = POD_BATCH_MS + waiting.size * SERVICE_WAIT_MS_EACH;
      reconciler.enqueueAfter(key, Math.min(waitMs, MAX_SERVICE_WAIT_MS));
      waiting.add(key);
    }),
    pods.onChange((change) => {
      for (const key of servicePods.servicesChangedBy(change)) {
        const batchMs = Math.max(POD_BATCH_MS, (sizes.get(key) ?? 0) * POD_BATCH_MS_EACH);
        reconciler.enqueueAfter(key, Math.min(batchMs, MAX_POD_BATCH_MS));
      }
    }),
    endpoints.onChange((change) => {
      if (!own.observe(change)) reconciler.enqueue(change.key);
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
