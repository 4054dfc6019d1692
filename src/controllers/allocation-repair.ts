import { objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey, ObjectRef } from "../api/machinery/object-key.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import { ipAddressKind } from "../api/networking/ipaddress.kind.ts";
import type { IPAddress } from "../api/networking/ipaddress.ts";
import { serviceCidrKind } from "../api/networking/servicecidr.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import { referenceTo } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { ipAddressOf, serviceOfAddress } from "../core/allocation/ip-address.ts";
import { planAddressRepair, planServiceRepair } from "../core/allocation/repair.ts";
import type { ServiceRepair } from "../core/allocation/repair.ts";
import { clusterIpsOf } from "../core/allocation/service-needs.ts";
import { parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { parseCidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface AllocationRepairDeps {
  readonly client: Pick<ApiClient, "get" | "create" | "patch" | "delete">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Of component `ipallocator-repair-controller`. */
  readonly events?: EventRecorder | undefined;
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

export interface AllocationRepairOptions {
  /**
   * Milliseconds after a change until it is looked at, so that the watches of both kinds have shown it; default
   * one second.
   */
  readonly settleMs?: number | undefined;
}

const SETTLE_MS = 1000;

/**
 * Keeps IPAddress objects what the Services' cluster IPs say (ALLOC-022, ALLOC-023, ALLOC-035). The API server
 * writes both in one commit, so there is work only after somebody meddled, or for Services that were stored
 * before there were IPAddresses. What caches show is looked at again through the API before anything is done
 * about it.
 */
export function startAllocationRepair(
  deps: AllocationRepairDeps,
  options: AllocationRepairOptions = {},
): AsyncDisposable {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const { settleMs = SETTLE_MS } = options;
  const services = informers.of(serviceKind);
  const addresses = informers.of(ipAddressKind);
  const serviceCidrs = informers.of(serviceCidrKind);
  const synced = async (signal: AbortSignal): Promise<void> => {
    for (const informer of [services, addresses, serviceCidrs]) await informer.synced(signal);
  };

  const plan = (
    service: Service,
    addressOf: (ip: IpAddress) => IPAddress | undefined,
  ): readonly ServiceRepair[] =>
    planServiceRepair(service, {
      cidrs: serviceCidrs
        .list()
        .flatMap(({ spec }) => spec.cidrs ?? [])
        .flatMap((text) => parseCidr(text) ?? []),
      addressOf,
      serviceOf: (ref) => services.get(objectKey(ref)),
    });

  const reconcileService = async (
    key: ObjectKey,
    signal: AbortSignal,
  ): Promise<ReconcileResult> => {
    await synced(signal);
    const cached = services.get(key);
    if (cached === undefined) return { kind: "done" };
    if (plan(cached, (ip) => addresses.get(objectKey({ name: ip }))).length === 0) {
      return { kind: "done" };
    }
    const seen = await freshAddresses(cached, signal);
    // Read after the addresses, so that they were there, or not, while the Service was as it is.
    const service = await find(serviceKind, refOf(key), signal);
    if (service?.metadata.resourceVersion !== cached.metadata.resourceVersion) {
      return { kind: "again", afterMs: settleMs };
    }
    for (const repair of plan(cached, (ip) => seen.get(ip))) {
      events?.record(referenceTo(cached), "Warning", repair.reason, repair.message);
      log.warn("cluster IP repaired", { service: key, ...repair });
      await apply(repair, cached, seen, signal);
    }
    return { kind: "done" };
  };

  const freshAddresses = async (
    service: Service,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, IPAddress>> => {
    const seen = new Map<string, IPAddress>();
    for (const ip of ipsOf(service)) {
      const address = await find(ipAddressKind, { name: ip }, signal);
      if (address !== undefined) seen.set(ip, address);
    }
    return seen;
  };

  const apply = async (
    { act, ip }: ServiceRepair,
    service: Service,
    seen: ReadonlyMap<string, IPAddress>,
    signal: AbortSignal,
  ): Promise<void> => {
    const parsed = parseIpAddress(ip);
    if (act === "report" || parsed === undefined) return;
    const wanted = ipAddressOf(parsed, service.metadata);
    const old = seen.get(ip);
    if (act === "relabel") {
      const body = { metadata: { labels: wanted.metadata.labels } };
      await client.patch(ipAddressKind, { name: ip }, { kind: "merge", body }, { signal });
      return;
    }
    if (old !== undefined) await remove(old, signal);
    await client.create(ipAddressKind, wanted, { signal });
  };

  const reconcileAddress = async (
    key: ObjectKey,
    signal: AbortSignal,
  ): Promise<ReconcileResult> => {
    await synced(signal);
    const cached = addresses.get(key);
    const owner = cached && serviceOfAddress(cached);
    if (cached === undefined || owner === undefined) return { kind: "done" };
    const first = planAddressRepair(cached, services.get(objectKey(owner)), now());
    if (first.kind === "keep") return { kind: "done" };
    if (first.kind === "later") return { kind: "again", afterMs: first.afterMs };
    // The version that is deleted below was there before this Service was read: none has come by since.
    const service = await find(serviceKind, owner, signal);
    const again = planAddressRepair(cached, service, now());
    if (again.kind !== "delete") return { kind: "again", afterMs: settleMs };
    events?.record(referenceTo(cached), "Warning", "IPAddressNotAllocated", again.message);
    log.warn("address without a Service deleted", { address: key, message: again.message });
    await remove(cached, signal);
    return { kind: "done" };
  };

  const remove = async ({ metadata }: IPAddress, signal: AbortSignal): Promise<void> => {
    const { uid = "", resourceVersion = "" } = metadata;
    const preconditions = { uid, resourceVersion };
    try {
      await client.delete(ipAddressKind, metadata, { preconditions, signal });
    } catch (error) {
      // Somebody else took it away.
      if (!hasReason(error, "NotFound")) throw error;
    }
  };

  const find = async <T extends KubernetesObject>(
    kind: KindDefinition<T>,
    ref: ObjectRef,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    try {
      return await client.get(kind, ref, { signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      return undefined;
    }
  };

  const name = "allocation-repair";
  const ofServices = startReconciler({ name, reconcile: reconcileService, log, metrics });
  const ofAddresses = startReconciler({
    name: `${name}-addresses`,
    reconcile: reconcileAddress,
    log,
    metrics,
  });
  const listeners = [
    services.onChange(({ key, before, after }) => {
      if (after !== undefined) ofServices.enqueueAfter(key, settleMs);
      const kept = after === undefined ? [] : ipsOf(after);
      const left = before === undefined ? [] : ipsOf(before).filter((ip) => !kept.includes(ip));
      for (const ip of left) ofAddresses.enqueueAfter(objectKey({ name: ip }), settleMs);
    }),
    addresses.onChange(({ key, before, after }) => {
      if (after !== undefined) ofAddresses.enqueueAfter(key, settleMs);
      for (const address of [before, after]) {
        const owner = address && serviceOfAddress(address);
        if (owner !== undefined) ofServices.enqueueAfter(objectKey(owner), settleMs);
      }
    }),
    serviceCidrs.onChange(({ before, after }) => {
      if (before?.spec.cidrs?.join() === after?.spec.cidrs?.join()) return;
      for (const { metadata } of services.list()) {
        ofServices.enqueueAfter(objectKey(metadata), settleMs);
      }
    }),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await ofServices[Symbol.asyncDispose]();
      await ofAddresses[Symbol.asyncDispose]();
    },
  };
}

function ipsOf({ spec }: Service): readonly IpAddress[] {
  return clusterIpsOf(spec).flatMap((text) => parseIpAddress(text) ?? []);
}
