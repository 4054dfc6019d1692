import type { Service } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains, cidrFamily } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { allocateIp, claimIp } from "../allocation/ip-allocator.ts";
import type { UsedAddresses } from "../allocation/ip-allocator.ts";
import { familiesOf } from "../endpoints/slices.ts";

export interface PoolObserved {
  readonly service: Service;
  /** At most one range a family is used. */
  readonly pools: readonly Cidr[];
  /** Addresses that other Services hold. */
  readonly usedByOthers: UsedAddresses;
  /** What the Service holds that its status does not say yet. */
  readonly held: readonly IpAddress[];
  /** A number in [0, 1) that says where the search for a free one starts. */
  readonly random: number;
}

export type PoolPlan =
  /** In the order of the Service's families; at least one. */
  | { readonly kind: "assigned"; readonly ips: readonly IpAddress[] }
  /** No address now; `why` is a sentence for the Service's events. */
  | { readonly kind: "unavailable"; readonly why: string };

/**
 * The load-balancer addresses of a Service: one for each of its families that has a pool. What it has it
 * keeps, unless `spec.loadBalancerIP` asks for another; an address asked for is given when it is in a pool
 * and free, and never replaced by another one.
 */
export function planPoolAddresses(observed: PoolObserved): PoolPlan {
  const { service, pools, usedByOthers, random } = observed;
  const wantedText = service.spec.loadBalancerIP ?? "";
  const wanted = wantedText === "" ? undefined : parseIpAddress(wantedText);
  if (wantedText !== "") {
    const refusal = refuse(wantedText, wanted, pools, usedByOthers);
    if (refusal !== undefined) return { kind: "unavailable", why: refusal };
  }
  const current = [...poolAddressesOf(service, pools), ...observed.held];
  const ips: IpAddress[] = [];
  for (const family of familiesOf(service)) {
    const pool = pools.find((cidr) => cidrFamily(cidr) === family);
    if (pool === undefined) continue;
    if (wanted !== undefined && cidrContains(pool, wanted)) {
      ips.push(wanted);
      continue;
    }
    const kept = current.find((ip) => cidrContains(pool, ip) && !usedByOthers.has(ip));
    if (kept !== undefined) {
      ips.push(kept);
      continue;
    }
    const result = allocateIp(pool, usedByOthers, random);
    if (result.kind !== "allocated") {
      return { kind: "unavailable", why: `no address is free in ${pool}` };
    }
    ips.push(result.ip);
  }
  if (ips.length > 0) return { kind: "assigned", ips };
  const families = familiesOf(service).join(" or ");
  return { kind: "unavailable", why: `there is no pool of ${families} addresses` };
}

/** The addresses of the Service's status that are of these pools. */
export function poolAddressesOf(service: Service, pools: readonly Cidr[]): readonly IpAddress[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip = "" }) => {
    const address = parseIpAddress(ip);
    const isOurs = address !== undefined && pools.some((pool) => cidrContains(pool, address));
    return isOurs ? [address] : [];
  });
}

function refuse(
  text: string,
  wanted: IpAddress | undefined,
  pools: readonly Cidr[],
  usedByOthers: UsedAddresses,
): string | undefined {
  const asked = `spec.loadBalancerIP asks for ${JSON.stringify(text)}`;
  if (wanted === undefined) return `${asked}, which is no address`;
  const pool = pools.find((cidr) => cidrContains(cidr, wanted));
  if (pool === undefined) return `${asked}, which is not in ${pools.join(" or ")}`;
  switch (claimIp(pool, usedByOthers, wanted).kind) {
    case "allocated":
      return undefined;
    case "taken":
      return `${asked}, which another Service has`;
    case "outOfRange":
    case "exhausted":
      return `${asked}, which is the first or last address of ${pool}`;
  }
}
