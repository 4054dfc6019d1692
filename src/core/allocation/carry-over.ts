import type { ServiceSpec } from "../../api/v1/service.ts";
import {
  allocatesNodePorts,
  clusterIpsOf,
  needsClusterIp,
  needsHealthCheckNodePort,
  nodePortsOf,
  portsOf,
  sameList,
} from "./service-needs.ts";

/** Fills in allocated values that an update leaves out (UPD-001..003; upstream `patchAllocatedValues`). */
export function carryOverAllocated(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  let next = spec;
  if (needsClusterIp(old) && needsClusterIp(next)) {
    if ((next.clusterIP ?? "") === "") next = { ...next, clusterIP: old.clusterIP };
    if ((next.clusterIPs ?? []).length === 0 && next.clusterIP === old.clusterIP) {
      next = { ...next, clusterIPs: clusterIpsOf(old) };
    }
  }
  // A load balancer that opted out keeps what it names only, so that its owner can give ports up.
  if (allocatesNodePorts(old) && allocatesNodePorts(next)) next = carryOverNodePorts(next, old);
  if (
    needsHealthCheckNodePort(old) &&
    needsHealthCheckNodePort(next) &&
    (next.healthCheckNodePort ?? 0) === 0
  ) {
    next = { ...next, healthCheckNodePort: old.healthCheckNodePort };
  }
  return next;
}

/** By the port's name, since that is what a client leaves alone when it changes the rest of a port. */
function carryOverNodePorts(spec: ServiceSpec, old: ServiceSpec): ServiceSpec {
  const stillNamed = new Set(nodePortsOf(spec));
  const byName = new Map(portsOf(old).map((port) => [port.name ?? "", port.nodePort ?? 0]));
  const ports = portsOf(spec).map((port) => {
    const previous = byName.get(port.name ?? "") ?? 0;
    const isMissing = (port.nodePort ?? 0) === 0;
    return isMissing && previous !== 0 && !stillNamed.has(previous)
      ? { ...port, nodePort: previous }
      : port;
  });
  return { ...spec, ports };
}

/**
 * Keeps `clusterIP` and `clusterIPs` in step for clients that know only the singular one (UPD-004, UPD-005;
 * upstream `NormalizeClusterIPs`). Where both were changed apart, validation says so.
 */
export function normalizeClusterIps(spec: ServiceSpec, old: ServiceSpec | undefined): ServiceSpec {
  const ip = spec.clusterIP ?? "";
  const ips = spec.clusterIPs ?? [];
  if (old === undefined) {
    return ip !== "" && ips.length === 0 ? { ...spec, clusterIPs: [ip] } : spec;
  }
  const oldIp = old.clusterIP ?? "";
  const oldIps = old.clusterIPs ?? [];
  if (ip === oldIp)
    return ips.length === 0 && oldIps.length > 0 ? { ...spec, clusterIPs: oldIps } : spec;
  // From ExternalName, which has neither, an old client names only the singular.
  if (!sameList(ips, oldIps)) return spec;
  if (ip !== "") return { ...spec, clusterIPs: [ip] };
  return without(spec, "clusterIP", "clusterIPs");
}

function without<T extends object>(object: T, ...keys: readonly (keyof T)[]): T {
  const copy = { ...object };
  for (const key of keys) delete copy[key];
  return copy;
}
