import type { Lease } from "../../api/coordination/lease.ts";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { parseTimestamp } from "../../api/machinery/time.ts";

/**
 * Marks the Lease by which a data plane says that it is up. A Pod that is asked to end runs on until each of
 * them has confirmed that it sends the Pod nothing new.
 */
export const DATA_PLANE_LABEL = "portolan.dev/data-plane";
/** On that Lease: every change of EndpointSlices up to this resourceVersion is carried out. */
export const APPLIED_ANNOTATION = "portolan.dev/applied-slices";
/** Where those Leases are. */
export const DATA_PLANE_NAMESPACE = "kube-system";

/**
 * Whether the slices that name a Pod all say that it is terminating, and from which version on they do.
 * @param slices those that data planes serve and that name the Pod; none: nobody is sent to it.
 * @returns undefined while one of them does not say so yet.
 */
export function markedVersion(
  slices: readonly EndpointSlice[],
  podUid: string,
): string | undefined {
  let version = "0";
  for (const slice of slices) {
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.targetRef?.uid !== podUid) continue;
      if (endpoint.conditions?.terminating !== true) return undefined;
    }
    version = laterVersion(version, slice.metadata.resourceVersion ?? "0");
  }
  return version;
}

/** Holders of the Leases of data planes that are up and have not yet carried out `version`. */
export function unconfirmed(
  leases: readonly Lease[],
  version: string,
  nowMs: number,
): readonly string[] {
  return leases
    .filter((lease) => isUp(lease, nowMs))
    .filter((lease) => {
      const applied = lease.metadata.annotations?.[APPLIED_ANNOTATION] ?? "0";
      return laterVersion(applied, version) !== applied;
    })
    .map((lease) => lease.spec.holderIdentity ?? lease.metadata.name);
}

function isUp({ spec }: Lease, nowMs: number): boolean {
  const renewed = parseTimestamp(spec.renewTime ?? "");
  if (renewed === undefined) return false;
  return (renewed.seconds + (spec.leaseDurationSeconds ?? 0)) * 1000 > nowMs;
}

/** The greater of two resourceVersions, which are decimal numbers that may be too long for a double (KEP-5504). */
export function laterVersion(a: string, b: string): string {
  if (a.length !== b.length) return a.length > b.length ? a : b;
  return a >= b ? a : b;
}
