import { parseIpAddress } from "../../net/address.ts";
import { parseCidr, singleAddress } from "../../net/cidr.ts";
import { CLUSTER_IP_NONE } from "./service.ts";
import type { Service } from "./service.ts";
import { TOPOLOGY_HINTS_ANNOTATION, TOPOLOGY_MODE_ANNOTATION } from "./service.validation.ts";

/** What is accepted but has no effect, or will not be accepted for ever (SVC-031). */
export function serviceWarnings(service: Service): readonly string[] {
  const { spec } = service;
  const warnings: string[] = [];
  if (service.metadata.annotations?.[TOPOLOGY_HINTS_ANNOTATION] !== undefined) {
    warnings.push(
      `annotation ${TOPOLOGY_HINTS_ANNOTATION} is deprecated, please use ${TOPOLOGY_MODE_ANNOTATION} instead`,
    );
  }
  const externalIPs = spec.externalIPs ?? [];
  if (spec.type === "ExternalName" && externalIPs.length > 0) {
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (spec.type !== "ExternalName" && (spec.externalName ?? "") !== "") {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (spec.clusterIP === CLUSTER_IP_NONE) {
    if ((spec.loadBalancerIP ?? "") !== "") {
      warnings.push("spec.loadBalancerIP is ignored for headless services");
    }
    if (externalIPs.length > 0) warnings.push("spec.externalIPs is ignored for headless services");
    if (spec.sessionAffinity !== "None") {
      warnings.push("spec.SessionAffinity is ignored for headless services");
    }
  }
  (spec.clusterIPs ?? []).forEach((ip, i) => {
    if (ip !== CLUSTER_IP_NONE)
      warnings.push(...addressWarnings(ip, `spec.clusterIPs[${String(i)}]`));
  });
  externalIPs.forEach((ip, i) => {
    warnings.push(...addressWarnings(ip, `spec.externalIPs[${String(i)}]`));
  });
  if (spec.loadBalancerIP) {
    warnings.push(...addressWarnings(spec.loadBalancerIP, "spec.loadBalancerIP"));
  }
  (spec.loadBalancerSourceRanges ?? []).forEach((range, i) => {
    warnings.push(...cidrWarnings(range, `spec.loadBalancerSourceRanges[${String(i)}]`));
  });
  return warnings;
}

function addressWarnings(text: string, path: string): readonly string[] {
  const canonical = parseIpAddress(text);
  if (canonical === undefined || canonical === text) return [];
  return [
    text.includes(":") && canonical.includes(":")
      ? `${path}: IPv6 address "${text}" should be in RFC 5952 canonical format ("${canonical}")`
      : `${path}: non-standard IP address "${text}" will be considered invalid in a future Kubernetes release: use "${canonical}"`,
  ];
}

/** Source of the texts: upstream `apimachinery/pkg/util/validation/ip.go:GetWarningsForCIDR`. */
function cidrWarnings(text: string, path: string): readonly string[] {
  const cidr = parseCidr(text);
  const [prefix = "", bits = ""] = text.split("/");
  const address = parseIpAddress(prefix);
  if (cidr === undefined || address === undefined) return [];
  const warnings: string[] = [];
  if (`${address}/${bits}` !== cidr) {
    warnings.push(
      `${path}: CIDR value ${JSON.stringify(text)} is ambiguous in this context (should be "${cidr}" or "${singleAddress(address)}"?)`,
    );
  }
  const isIpv6 = address.includes(":");
  if (!isIpv6 && address !== prefix) {
    warnings.push(
      `${path}: non-standard CIDR value ${JSON.stringify(text)} will be considered invalid in a future Kubernetes release: use "${cidr}"`,
    );
  }
  if (warnings.length === 0 && isIpv6 && cidr !== text) {
    warnings.push(
      `${path}: IPv6 CIDR value ${JSON.stringify(text)} should be in RFC 5952 canonical format ("${cidr}")`,
    );
  }
  return warnings;
}
