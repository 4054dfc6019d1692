import { parseTimestamp } from "../../api/machinery/time.ts";
import type { IPAddress } from "../../api/networking/ipaddress.ts";
import { SERVICE_CIDR_FINALIZER, SERVICE_CIDR_READY } from "../../api/networking/servicecidr.ts";
import type { ServiceCIDR } from "../../api/networking/servicecidr.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { isAllocated } from "./ip-address.ts";

/**
 * A ServiceCIDR that is deleted stays so long even when nobody needs it, so that every API server has seen that
 * it goes and addresses given away until then are seen too (ALLOC-020).
 */
export const DELETION_GRACE_MS = 10_000;

/** What a ServiceCIDR needs next. */
export type ServiceCidrStep =
  | { readonly kind: "nothing" }
  | { readonly kind: "addFinalizer" }
  | { readonly kind: "markReady"; readonly message: string }
  | { readonly kind: "markTerminating"; readonly message: string }
  | { readonly kind: "wait"; readonly afterMs: number }
  | { readonly kind: "removeFinalizer" };

export interface ServiceCidrSituation {
  readonly serviceCidr: ServiceCIDR;
  /** All ServiceCIDRs; `serviceCidr` itself may be among them. */
  readonly all: readonly ServiceCIDR[];
  readonly addresses: Iterable<IPAddress>;
  /** Epoch milliseconds. */
  readonly nowMs: number;
  readonly graceMs: number;
}

/** Source: upstream `pkg/controller/servicecidrs/servicecidrs_controller.go:sync` (ALLOC-018 to ALLOC-021). */
export function planServiceCidr(situation: ServiceCidrSituation): ServiceCidrStep {
  const { serviceCidr, nowMs, graceMs } = situation;
  const { deletionTimestamp, finalizers = [] } = serviceCidr.metadata;
  const hasFinalizer = finalizers.includes(SERVICE_CIDR_FINALIZER);
  const ready = serviceCidr.status?.conditions?.find(({ type }) => type === SERVICE_CIDR_READY);
  if (deletionTimestamp === undefined) {
    if (!hasFinalizer) return { kind: "addFinalizer" };
    if (ready?.status === "True") return { kind: "nothing" };
    return { kind: "markReady", message: "Kubernetes Service CIDR is ready" };
  }
  if (!hasFinalizer) return { kind: "nothing" };
  if (isNeeded(situation)) {
    const isMarked = ready?.status === "False" && ready.reason === "Terminating";
    const message =
      "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    // Whoever takes the last address away, or covers it, brings it up again.
    return isMarked ? { kind: "nothing" } : { kind: "markTerminating", message };
  }
  const deletedMs = (parseTimestamp(deletionTimestamp)?.seconds ?? 0) * 1000;
  const leftMs = deletedMs + graceMs - nowMs;
  return leftMs > 0 ? { kind: "wait", afterMs: leftMs } : { kind: "removeFinalizer" };
}

/** Some Service's address is in its ranges and in no other's that stays (ALLOC-019, ALLOC-021). */
function isNeeded({ serviceCidr, all, addresses }: ServiceCidrSituation): boolean {
  const own = rangesOf(serviceCidr);
  const others = all
    .filter(({ metadata }) => metadata.name !== serviceCidr.metadata.name)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .flatMap(rangesOf);
  for (const address of addresses) {
    if (!isAllocated(address)) continue;
    const ip = parseIpAddress(address.metadata.name);
    if (ip !== undefined && isInside(own, ip) && !isInside(others, ip)) return true;
  }
  return false;
}

function rangesOf({ spec }: ServiceCIDR): readonly Cidr[] {
  return (spec.cidrs ?? []).flatMap((text) => parseCidr(text) ?? []);
}

function isInside(cidrs: readonly Cidr[], ip: IpAddress): boolean {
  return cidrs.some((cidr) => cidrContains(cidr, ip));
}
