import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { ServicePort, ServiceSpec } from "../../api/v1/service.ts";

/** Headless Services need one too: their `None` is a value like an address. */
export function needsClusterIp(spec: ServiceSpec): boolean {
  return spec.type !== "ExternalName";
}

/** The type has node ports; whether missing ones are filled in says {@link allocatesNodePorts}. */
export function hasNodePorts(spec: ServiceSpec): boolean {
  return spec.type === "NodePort" || spec.type === "LoadBalancer";
}

/** A port without a node port gets one (ALLOC-029: not on a load balancer that opted out). */
export function allocatesNodePorts(spec: ServiceSpec): boolean {
  if (spec.type === "LoadBalancer") return spec.allocateLoadBalancerNodePorts !== false;
  return spec.type === "NodePort";
}

/** Only a load balancer that keeps traffic on the node asks the nodes whether they have any endpoint. */
export function needsHealthCheckNodePort(spec: ServiceSpec): boolean {
  return spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
}

export function isHeadless(spec: ServiceSpec): boolean {
  return clusterIpsOf(spec)[0] === CLUSTER_IP_NONE;
}

export function hasSelector(spec: ServiceSpec): boolean {
  return Object.keys(spec.selector ?? {}).length > 0;
}

/** The plural field, or for objects that lack it the singular one; `["None"]` for headless Services. */
export function clusterIpsOf(spec: ServiceSpec): readonly string[] {
  const { clusterIPs = [], clusterIP = "" } = spec;
  if (clusterIPs.length > 0) return clusterIPs;
  return clusterIP === "" ? [] : [clusterIP];
}

export function nodePortsOf(spec: ServiceSpec): readonly number[] {
  return [...new Set(portsOf(spec).map((port) => port.nodePort ?? 0))].filter((port) => port !== 0);
}

export function portsOf(spec: ServiceSpec): readonly ServicePort[] {
  return spec.ports ?? [];
}

export function sameList(a: readonly unknown[] = [], b: readonly unknown[] = []): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
