import type { ObjectRef } from "../../api/machinery/object-key.ts";
import { parseTimestamp } from "../../api/machinery/time.ts";
import { IP_ALLOCATOR, IP_FAMILY_LABEL, MANAGED_BY_LABEL } from "../../api/networking/ipaddress.ts";
import type { IPAddress } from "../../api/networking/ipaddress.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { Service } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { belongsTo, isAllocated, serviceOfAddress } from "./ip-address.ts";
import { clusterIpsOf, needsClusterIp } from "./service-needs.ts";

/** An address without a Service may belong to one whose creation was not seen yet, for so long (ALLOC-023). */
const ORPHAN_AGE_MS = 60_000;

/** What to do about one cluster IP of a Service, with the Event that says so. */
export interface ServiceRepair {
  readonly ip: string;
  readonly act: "create" | "replace" | "relabel" | "report";
  readonly reason:
    | "ClusterIPNotValid"
    | "ClusterIPOutOfRange"
    | "ClusterIPNotAllocated"
    | "ClusterIPAlreadyAllocated";
  readonly message: string;
}

export interface Neighbours {
  /** Ranges of all ServiceCIDRs, also of those that go. */
  readonly cidrs: readonly Cidr[];
  readonly addressOf: (ip: IpAddress) => IPAddress | undefined;
  readonly serviceOf: (ref: ObjectRef) => Service | undefined;
}

/**
 * Compares a Service's cluster IPs with the IPAddress objects (ALLOC-022). An address in no range keeps working
 * and is only reported (ALLOC-035). Source: upstream
 * `pkg/registry/core/service/ipallocator/controller/repairip.go:repairService`.
 */
export function planServiceRepair(
  service: Service,
  neighbours: Neighbours,
): readonly ServiceRepair[] {
  if (!needsClusterIp(service.spec)) return [];
  return clusterIpsOf(service.spec).flatMap((text) => {
    if (text === CLUSTER_IP_NONE) return [];
    const repair = planIpRepair(service, text, neighbours);
    return repair === undefined ? [] : [{ ip: parseIpAddress(text) ?? text, ...repair }];
  });
}

function planIpRepair(
  service: Service,
  text: string,
  { cidrs, addressOf, serviceOf }: Neighbours,
): Omit<ServiceRepair, "ip"> | undefined {
  const ip = parseIpAddress(text);
  if (ip === undefined) {
    const message = `Cluster IP ${text} is not a valid IP; please recreate service`;
    return { act: "report", reason: "ClusterIPNotValid", message };
  }
  const what = `Cluster IP [${ipFamilyOf(ip)}]: ${ip}`;
  if (!cidrs.some((cidr) => cidrContains(cidr, ip))) {
    const message = `${what} is not within any configured Service CIDR; please recreate service`;
    return { act: "report", reason: "ClusterIPOutOfRange", message };
  }
  const notAllocated = { reason: "ClusterIPNotAllocated" } as const;
  const address = addressOf(ip);
  if (address === undefined) {
    return { act: "create", ...notAllocated, message: `${what} is not allocated; repairing` };
  }
  const { namespace = "", name } = service.metadata;
  const ofService = `${what} for Service ${namespace}/${name}`;
  if (!belongsTo(address, service.metadata)) {
    const owner = serviceOfAddress(address);
    const other = owner && serviceOf(owner);
    const isTaken = other !== undefined && holds(other, ip);
    return isTaken
      ? {
          act: "report",
          reason: "ClusterIPAlreadyAllocated",
          message: `${ofService} is already assigned to Service ${other.metadata.namespace ?? ""}/${other.metadata.name}; please recreate service`,
        }
      : {
          act: "replace",
          ...notAllocated,
          message: `${ofService} has a wrong reference; repairing`,
        };
  }
  return hasLabels(address, ip)
    ? undefined
    : { act: "relabel", ...notAllocated, message: `${ofService} has wrong labels; repairing` };
}

export type AddressRepair =
  | { readonly kind: "keep" }
  | { readonly kind: "later"; readonly afterMs: number }
  | { readonly kind: "delete"; readonly message: string };

/**
 * Whether an IPAddress that the allocator made still has its Service (ALLOC-023). What others made, or made for
 * something else than a Service, is theirs.
 * @param service the one that the address names.
 */
export function planAddressRepair(
  address: IPAddress,
  service: Service | undefined,
  nowMs: number,
): AddressRepair {
  const owner = serviceOfAddress(address);
  if (!isAllocated(address) || owner === undefined) return { kind: "keep" };
  const ip = address.metadata.name;
  const { creationTimestamp = "" } = address.metadata;
  const of = `IPAddress: ${ip} for Service ${owner.namespace ?? ""}/${owner.name}`;
  if (service !== undefined) {
    return holds(service, ip)
      ? { kind: "keep" }
      : { kind: "delete", message: `${of} has a wrong reference, cleaning up` };
  }
  const createdMs = (parseTimestamp(creationTimestamp)?.seconds ?? 0) * 1000;
  const leftMs = createdMs + ORPHAN_AGE_MS - nowMs;
  if (leftMs > 0) return { kind: "later", afterMs: leftMs };
  return { kind: "delete", message: `${of} appears to have leaked: cleaning up` };
}

function holds({ spec }: Service, ip: string): boolean {
  return needsClusterIp(spec) && clusterIpsOf(spec).some((text) => parseIpAddress(text) === ip);
}

function hasLabels({ metadata }: IPAddress, ip: IpAddress): boolean {
  return (
    metadata.labels?.[IP_FAMILY_LABEL] === ipFamilyOf(ip) &&
    metadata.labels[MANAGED_BY_LABEL] === IP_ALLOCATOR
  );
}
