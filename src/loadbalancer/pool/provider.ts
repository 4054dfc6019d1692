import { keyOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { LoadBalancerStatus, Service } from "../../api/v1/service.ts";
import type { Informer } from "../../client/informer.ts";
import { planPoolAddresses, poolAddressesOf } from "../../core/loadbalancer/pool.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { UnavailableError } from "../provider.ts";
import type { LoadBalancerProvider } from "../provider.ts";

export interface PoolProviderDeps {
  /** The record of who holds what is the Services' status: this provider keeps no other across restarts. */
  readonly services: Informer<Service>;
  /** In [0, 1): where the search for a free address starts; default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

const BY_ADDRESS = "load-balancer-address";

/**
 * Gives load-balancer addresses out of ranges of this machine. There is nothing else to set up: whoever
 * serves a Service's addresses serves what its status says. To be asked only once `services` has synced.
 */
export function createPoolProvider(
  deps: PoolProviderDeps,
  options: { readonly pools: readonly Cidr[] },
): LoadBalancerProvider {
  const { services, random = Math.random } = deps;
  const { pools } = options;
  /** Given, but perhaps not in a status yet. */
  const given = new Map<IpAddress, ObjectKey>();
  services.addIndex(BY_ADDRESS, (service) => poolAddressesOf(service, pools));

  const isOthers = (key: ObjectKey, ip: IpAddress): boolean => {
    const holder = given.get(ip);
    if (holder !== undefined && holder !== key) return true;
    return services.byIndex(BY_ADDRESS, ip).some((service) => keyOf(service) !== key);
  };
  const heldBy = (key: ObjectKey): readonly IpAddress[] =>
    [...given].filter(([, holder]) => holder === key).map(([ip]) => ip);

  return {
    name: "pool",
    usesNodes: false,

    get: (service) => {
      const ips = new Set([...poolAddressesOf(service, pools), ...heldBy(keyOf(service))]);
      return Promise.resolve(ips.size === 0 ? undefined : statusOf([...ips]));
    },

    ensure: async (service) => {
      const key = keyOf(service);
      const held = heldBy(key);
      const plan = planPoolAddresses({
        service,
        pools,
        usedByOthers: { has: (ip) => isOthers(key, ip) },
        held,
        random: random(),
      });
      if (plan.kind === "unavailable") throw new UnavailableError(plan.why);
      for (const ip of held) given.delete(ip);
      for (const ip of plan.ips) given.set(ip, key);
      return statusOf(plan.ips);
    },

    updateNodes: () => Promise.resolve(),

    delete: (service) => {
      for (const ip of heldBy(keyOf(service))) given.delete(ip);
      return Promise.resolve();
    },
  };
}

function statusOf(ips: readonly IpAddress[]): LoadBalancerStatus {
  return { ingress: ips.map((ip) => ({ ip, ipMode: "VIP" })) };
}
