import { holdingsOf, planServiceAllocation } from "../core/allocation/service-allocation.ts";
import type { Holdings } from "../core/allocation/service-allocation.ts";
import type { NodePortRange } from "../core/allocation/node-port-allocator.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { Service } from "../api/v1/service.ts";
import type { IpAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { internalError, invalidObject } from "./failures.ts";
import type { KindCache } from "./kind-cache.ts";
import type { Served } from "./stored.ts";
import type { Admitted, WriteHook } from "./write-hook.ts";

export interface ServicePoolOptions {
  /** Where cluster IPs come from; the first is of the primary family. */
  readonly serviceCidrs: readonly Cidr[];
  readonly nodePortRange: NodePortRange;
  /** A number in [0, 1): where the search for free ones starts. */
  readonly random: () => number;
}

/**
 * Gives Services their cluster IPs and node ports in the write that creates or changes them. What is in use
 * follows from the stored Services, plus what writes under way have reserved; so a release counts only once
 * it is committed, and a restart needs no repair.
 */
export class ServicePools implements WriteHook {
  readonly #definition: KindDefinition;
  readonly #options: ServicePoolOptions;
  readonly #ips = new Counts<IpAddress>();
  readonly #ports = new Counts<number>();

  constructor(services: KindCache, options: ServicePoolOptions) {
    this.#definition = services.definition;
    this.#options = options;
    for (const item of services.range("")) this.#take(heldBy(item));
    services.observe(({ before, after }) => {
      if (after !== undefined) this.#take(heldBy(after));
      if (before !== undefined) this.#give(heldBy(before));
    });
  }

  admit(object: KubernetesObject, old: KubernetesObject | undefined, dryRun: boolean): Admitted {
    const plan = planServiceAllocation({
      service: asService(object),
      old: old === undefined ? undefined : asService(old),
      cidrs: this.#options.serviceCidrs,
      nodePortRange: this.#options.nodePortRange,
      usedIps: this.#ips,
      usedPorts: this.#ports,
      random: this.#options.random(),
    });
    switch (plan.kind) {
      case "invalid":
        throw invalidObject(this.#definition, object.metadata.name, plan.errors);
      case "failed":
        throw internalError(plan.message);
      case "planned": {
        if (dryRun) return { object: plan.service, release: () => {} };
        const { claims } = plan;
        this.#take(claims);
        return { object: plan.service, release: () => this.#give(claims) };
      }
    }
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
