import { deepEqual } from "../machinery/json.ts";
import { keepStatus } from "../machinery/strategy.ts";
import { isExternallyAccessible } from "./service.defaults.ts";
import type { Service, ServiceSpec } from "./service.ts";

/** A create cannot bring a status (SVC-012). */
export function prepareServiceForCreate(service: Service): Service {
  return { ...service, status: { loadBalancer: {} } };
}

/**
 * Keeps the status, and takes out what the new type has no place for, as long as the request did not change it
 * (UPD-006 to UPD-015): so a patch of the type alone works, and a value that was asked for is refused by
 * validation. Omitted addresses and node ports must have been carried over before (UPD-001 to UPD-003), or they
 * count as changed. Source: upstream `registry/core/service/strategy.go:dropTypeDependentFields`.
 */
export function prepareServiceForUpdate(object: Service, old: Service): Service {
  const service = keepStatus(object, old);
  const wiped = wipedFields(service.spec, old.spec);
  const spec = { ...service.spec };
  for (const key of wiped) delete spec[key];
  const withPorts = keepsNodePorts(spec, old.spec) ? spec : withoutNodePorts(spec);
  const leavesLoadBalancer = old.spec.type === "LoadBalancer" && spec.type !== "LoadBalancer";
  return {
    ...service,
    spec: withPorts,
    ...(leavesLoadBalancer ? { status: { ...service.status, loadBalancer: {} } } : {}),
  };
}

/** Health check ports exist only there (UPD-013). */
export function needsHealthCheckNodePort(spec: ServiceSpec): boolean {
  return spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
}

type Optional = Exclude<keyof ServiceSpec, "type" | "sessionAffinity">;

function wipedFields(spec: ServiceSpec, old: ServiceSpec): readonly Optional[] {
  const wiped: Optional[] = [];
  const leaves = (applies: (of: ServiceSpec) => boolean): boolean => applies(old) && !applies(spec);
  const wipe = (...keys: readonly Optional[]): void => {
    wiped.push(...keys.filter((key) => deepEqual(spec[key], old[key])));
  };
  const sameAddresses =
    deepEqual(spec.clusterIPs, old.clusterIPs) && deepEqual(spec.clusterIP, old.clusterIP);
  if (leaves((of) => of.type !== "ExternalName")) {
    if (sameAddresses) wiped.push("clusterIP", "clusterIPs");
    wipe("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy");
  }
  if (leaves(needsHealthCheckNodePort)) wipe("healthCheckNodePort");
  if (leaves(isExternallyAccessible)) wipe("externalTrafficPolicy");
  if (leaves((of) => of.type === "LoadBalancer")) {
    wipe("allocateLoadBalancerNodePorts", "loadBalancerClass");
  }
  return wiped;
}

function hasNodePorts(spec: ServiceSpec): boolean {
  return spec.type === "NodePort" || spec.type === "LoadBalancer";
}

/** Node ports go with the type, unless the request brings one that the Service did not have (UPD-011). */
function keepsNodePorts(spec: ServiceSpec, old: ServiceSpec): boolean {
  if (!hasNodePorts(old) || hasNodePorts(spec)) return true;
  const known = nodePortsOf(old);
  return nodePortsOf(spec).some((port) => !known.includes(port));
}

function nodePortsOf(spec: ServiceSpec): readonly number[] {
  return (spec.ports ?? []).map((port) => port.nodePort ?? 0).filter((port) => port !== 0);
}

function withoutNodePorts(spec: ServiceSpec): ServiceSpec {
  if (spec.ports === undefined) return spec;
  const ports = spec.ports.map(({ nodePort, ...port }) => {
    void nodePort; // Taken out.
    return port;
  });
  return { ...spec, ports };
}
