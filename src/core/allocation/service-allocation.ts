import { invalid } from "../../api/machinery/field-error.ts";
import type { FieldError } from "../../api/machinery/field-error.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import { cidrFamily } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { carryOverAllocated, normalizeClusterIps } from "./carry-over.ts";
import { allocateIp, claimIp } from "./ip-allocator.ts";
import type { UsedAddresses } from "./ip-allocator.ts";
import { planIpFamilies } from "./ip-families.ts";
import type { NodePortRange, UsedPorts } from "./node-port-allocator.ts";
import { planNodePorts } from "./service-node-ports.ts";
import {
  clusterIpsOf,
  hasNodePorts,
  isHeadless,
  needsClusterIp,
  needsHealthCheckNodePort,
  nodePortsOf,
} from "./service-needs.ts";

/** What a Service holds of the cluster's pools. Sorted lists without duplicates. */
export interface Holdings {
  readonly ips: readonly IpAddress[];
  /** Node ports and health-check node ports; they share one pool (ALLOC-031). */
  readonly nodePorts: readonly number[];
}

export interface ServiceAllocationRequest {
  /** As the client sent it, with static defaults filled in. */
  readonly service: Service;
  /** The stored object of an update. */
  readonly old?: Service | undefined;
  /** Families that the cluster has service addresses of, the primary one first. */
  readonly families: readonly IpFamily[];
  /** Where cluster IPs come from, in the order in which they are tried. */
  readonly cidrs: readonly Cidr[];
  readonly nodePortRange: NodePortRange;
  /** What all Services hold, `old` included. */
  readonly usedIps: UsedAddresses;
  readonly usedPorts: UsedPorts;
  /** A number in [0, 1) that says where the search for free ones starts. */
  readonly random: number;
}

export type ServiceAllocation =
  | {
      readonly kind: "planned";
      /** With cluster IPs, families, node ports and health-check node port filled in. */
      readonly service: Service;
      /** To take together with the write of `service`; none of it was used. */
      readonly claims: Holdings;
      /** To free once the write is committed, and not before (ALLOC-032). */
      readonly releases: Holdings;
    }
  /** The client's mistake: 422. */
  | { readonly kind: "invalid"; readonly errors: readonly FieldError[] }
  /** A pool is empty, or a health-check node port cannot be had: 500 with this message. */
  | { readonly kind: "failed"; readonly message: string };

type Step<T> = ({ readonly kind: "planned" } & T) | Exclude<ServiceAllocation, { kind: "planned" }>;

/**
 * Gives a Service its cluster IPs and node ports in the write that creates or changes it: carries over what
 * an update leaves out (UPD-001..005), settles the IP families (DUAL-001..014), and allocates (ALLOC-001..009,
 * 025..034). Runs between defaulting and validation, so that its errors come first, as upstream's do. Values
 * that may not change once set are left for validation to judge, and values that a new type has no use for
 * stay for the Service's strategy to wipe (UPD-006..014); they are released here all the same.
 */
export function planServiceAllocation(request: ServiceAllocationRequest): ServiceAllocation {
  const { service } = request;
  const old = request.old?.spec;
  let spec = old === undefined ? service.spec : carryOverAllocated(service.spec, old);
  spec = normalizeClusterIps(spec, old);
  const families = planIpFamilies(spec, old, request.families);
  if (families.kind === "invalid") return families;

  const ips = planClusterIps(families.spec, old, request);
  if (ips.kind !== "planned") return ips;
  const ports = planNodePorts(ips.spec, old, request);
  if (ports.kind !== "planned") return ports;

  const planned: Service = { ...service, spec: ports.spec };
  const kept = holdingsOf(planned);
  const held: Holdings =
    request.old === undefined ? { ips: [], nodePorts: [] } : holdingsOf(request.old);
  return {
    kind: "planned",
    service: planned,
    claims: {
      ips: ips.claimed.filter((ip) => !held.ips.includes(ip)).toSorted(),
      nodePorts: ports.claimed.toSorted((a, b) => a - b),
    },
    releases: {
      ips: held.ips.filter((ip) => !kept.ips.includes(ip)),
      nodePorts: held.nodePorts.filter((port) => !kept.nodePorts.includes(port)),
    },
  };
}

/** What a stored Service holds: to fill the pools at start, and to free on delete (SVC-018). */
export function holdingsOf({ spec }: Pick<Service, "spec">): Holdings {
  const ips = needsClusterIp(spec) ? clusterIpsOf(spec) : [];
  const ports = hasNodePorts(spec) ? [...nodePortsOf(spec)] : [];
  if (needsHealthCheckNodePort(spec)) ports.push(spec.healthCheckNodePort ?? 0);
  return {
    ips: [...new Set(ips.flatMap((text) => parseIpAddress(text) ?? []))].toSorted(),
    nodePorts: [...new Set(ports)].filter((port) => port !== 0).toSorted((a, b) => a - b),
  };
}

/** Fills in the address of each family that has none yet; headless and ExternalName take none (ALLOC-004). */
function planClusterIps(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  { cidrs, usedIps, random }: ServiceAllocationRequest,
): Step<{ readonly spec: ServiceSpec; readonly claimed: readonly IpAddress[] }> {
  if (!needsClusterIp(spec) || isHeadless(spec)) return { kind: "planned", spec, claimed: [] };
  const before = old === undefined || !needsClusterIp(old) ? [] : clusterIpsOf(old);
  // A headless Service cannot become another one: validation refuses, nothing is allocated.
  if (before[0] === CLUSTER_IP_NONE) return { kind: "planned", spec, claimed: [] };
  const given = clusterIpsOf(spec);
  const clusterIPs: string[] = [];
  const claimed: IpAddress[] = [];
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
    const text = given[i] ?? "";
    const pools = cidrs.filter((cidr) => cidrFamily(cidr) === family);
    if (before[i] !== undefined && text !== "") {
      clusterIPs.push(text);
      continue;
    }
    if (text === "") {
      const ip = firstFree(pools, usedIps, random);
      if (ip === undefined) {
        return { kind: "failed", message: "failed to allocate a serviceIP: range is full" };
      }
      clusterIPs.push(ip);
      claimed.push(ip);
      continue;
    }
    const claim = claimText(pools, usedIps, text);
    if (claim.kind === "refused") {
      const detail = `failed to allocate IP ${text}: ${claim.why}`;
      return { kind: "invalid", errors: [invalid("spec.clusterIPs", spec.clusterIPs, detail)] };
    }
    clusterIPs.push(text);
    claimed.push(claim.ip);
  }
  const [clusterIP] = clusterIPs;
  return { kind: "planned", spec: { ...spec, clusterIP, clusterIPs }, claimed };
}

function firstFree(
  pools: readonly Cidr[],
  used: UsedAddresses,
  random: number,
): IpAddress | undefined {
  for (const pool of pools) {
    const result = allocateIp(pool, used, random);
    if (result.kind === "allocated") return result.ip;
  }
  return undefined;
}

function claimText(
  pools: readonly Cidr[],
  used: UsedAddresses,
  text: string,
):
  | { readonly kind: "claimed"; readonly ip: IpAddress }
  | { readonly kind: "refused"; readonly why: string } {
  const ip = parseIpAddress(text);
  if (ip === undefined)
    throw new Error(`cluster IP ${JSON.stringify(text)} was checked but is no address`);
  for (const pool of pools) {
    const result = claimIp(pool, used, ip);
    if (result.kind === "allocated") return { kind: "claimed", ip };
    if (result.kind === "taken")
      return { kind: "refused", why: "provided IP is already allocated" };
  }
  const ranges = pools.join(",");
  return {
    kind: "refused",
    why: `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${ranges}`,
  };
}
