import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectRef } from "../api/machinery/object-key.ts";
import type { IPAddress } from "../api/networking/ipaddress.ts";
import type { Service } from "../api/v1/service.ts";
import { belongsTo, ipAddressOf } from "../core/allocation/ip-address.ts";
import type { NodePortRange } from "../core/allocation/node-port-allocator.ts";
import { holdingsOf, planServiceAllocation } from "../core/allocation/service-allocation.ts";
import type { Holdings } from "../core/allocation/service-allocation.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrFamily } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { internalError, invalidObject } from "./failures.ts";
import type { KindCache } from "./kind-cache.ts";
import { createdMetadata, timestamp } from "./object-identity.ts";
import type { Step } from "./registry.ts";
import { usableCidrs } from "./service-cidrs.ts";
import { nodePortKey } from "./stored.ts";
import type { Served } from "./stored.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import type { Admitted, Companions } from "./write-hook.ts";

export interface ServicePoolDeps {
  readonly services: KindCache;
  /** Undefined where these kinds are not served: then only the stored Services say what is in use. */
  readonly ipAddresses: KindCache | undefined;
  readonly serviceCidrs: KindCache | undefined;
}

export interface ServicePoolOptions {
  /** The server's own ranges; the first is of the primary family. */
  readonly serviceCidrs: readonly Cidr[];
  readonly nodePortRange: NodePortRange;
  /** A number in [0, 1): where the search for free ones starts. */
  readonly random: () => number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly newUid: () => string;
}

/**
 * Gives Services their cluster IPs and node ports in the write that creates or changes them. What is in use
 * follows from the stored Services and IPAddresses, plus what writes under way have reserved; so a release
 * counts only once it is committed (ALLOC-032), and a restart needs no repair. With the Service the same commit
 * writes an IPAddress for each address (ALLOC-010) and a key for each node port, and it fails where one is there
 * already: so two servers of one store never give away the same.
 */
export class ServicePools {
  readonly #deps: ServicePoolDeps;
  readonly #options: ServicePoolOptions;
  readonly #cidrs: () => readonly Cidr[];
  readonly #ips = new Counts<IpAddress>();
  readonly #ports = new Counts<number>();

  constructor(deps: ServicePoolDeps, options: ServicePoolOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#cidrs = usableCidrs(deps.serviceCidrs, options.serviceCidrs);
    for (const item of deps.services.range("")) this.#take(heldBy(item));
    deps.services.observe(({ before, after }) => {
      if (after !== undefined) this.#take(heldBy(after));
      if (before !== undefined) this.#give(heldBy(before));
    });
  }

  /** @throws StatusError 422 for what cannot be had, 500 when a pool is empty. */
  admit(object: KubernetesObject, old: KubernetesObject | undefined, dryRun: boolean): Admitted {
    const { ipAddresses, services } = this.#deps;
    const { serviceCidrs, nodePortRange, random } = this.#options;
    const plan = planServiceAllocation({
      service: asService(object),
      old: old === undefined ? undefined : asService(old),
      families: [...new Set(serviceCidrs.map((cidr) => cidrFamily(cidr)))],
      cidrs: this.#cidrs(),
      nodePortRange,
      usedIps: {
        // Whoever made an IPAddress blocks the address (ALLOC-012).
        has: (ip) => this.#ips.has(ip) || ipAddresses?.get(objectKey({ name: ip })) !== undefined,
      },
      usedPorts: this.#ports,
      random: random(),
    });
    switch (plan.kind) {
      case "invalid":
        throw invalidObject(services.definition, object.metadata.name, plan.errors);
      case "failed":
        throw internalError(plan.message);
      case "planned": {
        const { service, claims, releases } = plan;
        if (dryRun) return { object: service, companions: NO_COMPANIONS, release: () => {} };
        this.#take(claims);
        const companions = this.#companions(service.metadata, claims, releases);
        return { object: service, companions, release: () => this.#give(claims) };
      }
    }
  }

  /** What is given back with a Service that goes (SVC-018). */
  given(object: KubernetesObject): Companions {
    return this.#companions(object.metadata, NOTHING, holdingsOf(asService(object)));
  }

  #companions(service: ObjectRef, claims: Holdings, releases: Holdings): Companions {
    const { ipAddresses } = this.#deps;
    const holder = objectKey(service);
    const claimOf = (port: number) => ({ storeKey: nodePortKey(port), holder });
    return {
      steps:
        ipAddresses === undefined
          ? []
          : [
              ...claims.ips.map((ip) => this.#taking(ipAddresses.definition, ip, service)),
              ...releases.ips.flatMap((ip) => this.#freeing(ipAddresses, ip, service)),
            ],
      takes: claims.nodePorts.map(claimOf),
      frees: releases.nodePorts.map(claimOf),
    };
  }

  #taking(kind: KindDefinition, ip: IpAddress, service: ObjectRef): Step {
    const { newUid, now } = this.#options;
    const draft = ipAddressOf(ip, service);
    const metadata = createdMetadata(draft.metadata, {
      uid: newUid(),
      nowMs: now(),
      hasGeneration: false,
    });
    const next = { ...draft, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
    return { kind, ref: { name: ip }, current: undefined, next };
  }

  /** An address that somebody else took over meanwhile stays; one with finalizers is only marked. */
  #freeing(ipAddresses: KindCache, ip: IpAddress, service: ObjectRef): readonly Step[] {
    const current = ipAddresses.get(objectKey({ name: ip }));
    // The cache of this kind holds nothing else.
    if (current === undefined || !belongsTo(current.object as IPAddress, service)) return [];
    const kind = ipAddresses.definition;
    const { metadata } = current.object;
    const isHeld = (metadata.finalizers ?? []).length > 0;
    if (isHeld && metadata.deletionTimestamp !== undefined) return [];
    const deletionTimestamp = timestamp(this.#options.now());
    const marked = { ...metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 };
    const next = isHeld ? { ...current.object, metadata: marked } : undefined;
    return [{ kind, ref: { name: ip }, current, next }];
  }

  #take({ ips, nodePorts }: Holdings): void {
    for (const ip of ips) this.#ips.add(ip);
    for (const port of nodePorts) this.#ports.add(port);
  }

  #give({ ips, nodePorts }: Holdings): void {
    for (const ip of ips) this.#ips.remove(ip);
    for (const port of nodePorts) this.#ports.remove(port);
  }
}

const NOTHING: Holdings = { ips: [], nodePorts: [] };

/** How many hold each value: a stored Service and the write that changes it may both. */
class Counts<T> {
  readonly #counts = new Map<T, number>();

  has(value: T): boolean {
    return this.#counts.has(value);
  }

  add(value: T): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  remove(value: T): void {
    const count = this.#counts.get(value) ?? 0;
    if (count > 1) this.#counts.set(value, count - 1);
    else this.#counts.delete(value);
  }
}

function heldBy(item: Served): Holdings {
  return holdingsOf(asService(item.object));
}

function asService(object: KubernetesObject): Service {
  // The hook is registered for the Service kind alone, whose schema decoded the object.
  return object as Service;
}
