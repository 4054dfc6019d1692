import { invalid } from "../../api/machinery/field-error.ts";
import type { FieldError } from "../../api/machinery/field-error.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import { validateClusterIps } from "../../api/v1/service-addresses.validation.ts";
import type { ServiceSpec } from "../../api/v1/service.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpFamily } from "../../net/address.ts";
import {
  clusterIpsOf,
  hasSelector,
  isHeadless,
  needsClusterIp,
  sameList,
} from "./service-needs.ts";

export type FamilyPlan =
  | { readonly kind: "planned"; readonly spec: ServiceSpec }
  | { readonly kind: "invalid"; readonly errors: readonly FieldError[] };

/**
 * Settles `ipFamilyPolicy` and `ipFamilies` (DUAL-001..014; upstream `initIPFamilyFields`).
 * @param configured the families that the cluster has service addresses of, the primary one first.
 */
export function planIpFamilies(
  given: ServiceSpec,
  old: ServiceSpec | undefined,
  configured: readonly IpFamily[],
): FamilyPlan {
  if (!needsClusterIp(given)) return { kind: "planned", spec: given };
  if (old !== undefined && isUnchangedPreferDualStack(given, old)) {
    return { kind: "planned", spec: given };
  }
  const malformed = validateClusterIps(given);
  if (malformed.length > 0) return { kind: "invalid", errors: malformed };

  let spec = given;
  if (old !== undefined) {
    if (spec.ipFamilyPolicy === undefined && old.ipFamilyPolicy !== undefined) {
      spec = { ...spec, ipFamilyPolicy: old.ipFamilyPolicy };
    }
    if (spec.ipFamilyPolicy === "SingleStack") spec = dropSecondFamily(spec, old);
  }
  const errors = [
    ...(old === undefined ? [] : releaseErrors(spec, old)),
    ...singleStackErrors(spec),
  ];
  const families = [...(spec.ipFamilies ?? [])];
  for (const [i, text] of clusterIpsOf(spec).entries()) {
    const ip = text === CLUSTER_IP_NONE ? undefined : parseIpAddress(text);
    if (ip === undefined || i < families.length) continue;
    const family = ipFamilyOf(ip);
    if (configured.includes(family)) families.push(family);
    else {
      const detail = `${family} is not configured on this cluster`;
      errors.push(invalid(`spec.clusterIPs[${String(i)}]`, spec.clusterIPs, detail));
    }
  }
  if (errors.length > 0) return { kind: "invalid", errors };

  // Without a selector nobody here makes the endpoints, so they may be of families the cluster lacks.
  const isFree = isHeadless(spec) && !hasSelector(spec);
  const policy = spec.ipFamilyPolicy ?? (isFree ? "RequireDualStack" : "SingleStack");
  if (!isFree) errors.push(...configurationErrors(policy, families, configured));
  if (errors.length > 0) return { kind: "invalid", errors };

  const [primary = "IPv4"] = configured;
  if (families.length === 0) families.push(primary);
  if (policy !== "SingleStack" && families.length === 1 && (isFree || configured.length > 1)) {
    families.push(families[0] === "IPv4" ? "IPv6" : "IPv4");
  }
  return { kind: "planned", spec: { ...spec, ipFamilyPolicy: policy, ipFamilies: families } };
}

/** Nobody gets or loses a family because the cluster changed beneath the Service (DUAL-011). */
function isUnchangedPreferDualStack(spec: ServiceSpec, old: ServiceSpec): boolean {
  return (
    spec.type === old.type &&
    spec.ipFamilyPolicy === "PreferDualStack" &&
    old.ipFamilyPolicy === "PreferDualStack" &&
    sameList(spec.clusterIPs, old.clusterIPs) &&
    sameList(spec.ipFamilies, old.ipFamilies)
  );
}

/** SingleStack lets go of the second family even when the client sends both as they were (DUAL-009). */
function dropSecondFamily(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  let next = spec;
  const { clusterIPs = [], ipFamilies = [] } = spec;
  if (clusterIPs.length > 1 && sameList(clusterIPs, old.clusterIPs)) {
    next = { ...next, clusterIPs: clusterIPs.slice(0, 1) };
  }
  if (ipFamilies.length > 1 && sameList(ipFamilies, old.ipFamilies)) {
    next = { ...next, ipFamilies: ipFamilies.slice(0, 1) };
  }
  return next;
}

/** DUAL-010. */
function releaseErrors(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  if (spec.ipFamilyPolicy === "SingleStack") return [];
  const isReduced = (now: readonly unknown[] = [], before: readonly unknown[] = []): boolean =>
    now.length > 0 && now.length < before.length;
  const error = (what: string): FieldError =>
    invalid(
      "spec.ipFamilyPolicy",
      spec.ipFamilyPolicy,
      `must be 'SingleStack' to release the secondary ${what}`,
    );
  return [
    ...(isReduced(spec.clusterIPs, old.clusterIPs) ? [error("cluster IP")] : []),
    ...(isReduced(spec.ipFamilies, old.ipFamilies) ? [error("IP family")] : []),
  ];
}

/** DUAL-007. */
function singleStackErrors(spec: ServiceSpec): readonly FieldError[] {
  const policy = spec.ipFamilyPolicy;
  if (policy !== undefined && policy !== "SingleStack") return [];
  const error = (what: string): FieldError =>
    invalid(
      "spec.ipFamilyPolicy",
      policy,
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
    );
  return [
    ...((spec.clusterIPs ?? []).length > 1 ? [error("cluster IPs")] : []),
    ...((spec.ipFamilies ?? []).length > 1 ? [error("IP families")] : []),
  ];
}

/** DUAL-005, DUAL-006. */
function configurationErrors(
  policy: string,
  families: readonly string[],
  configured: readonly string[],
): readonly FieldError[] {
  const dual =
    policy === "RequireDualStack" && configured.length < 2
      ? [
          invalid(
            "spec.ipFamilyPolicy",
            policy,
            "this cluster is not configured for dual-stack services",
          ),
        ]
      : [];
  const missing = families.flatMap((family, i) =>
    configured.includes(family)
      ? []
      : [invalid(`spec.ipFamilies[${String(i)}]`, family, "not configured on this cluster")],
  );
  return [...dual, ...missing];
}
