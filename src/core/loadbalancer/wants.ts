import type { Node } from "../../api/v1/node.ts";
import type { Service } from "../../api/v1/service.ts";

/** Keeps a Service until its load balancer is gone (LB-003, LB-005). */
export const LOAD_BALANCER_FINALIZER = "service.kubernetes.io/load-balancer-cleanup";
const EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers";
const AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler";

/**
 * Whether this implementation gives the Service a load balancer (LB-001, LB-002).
 * @param loadBalancerClass the class that it implements; undefined for Services that name none.
 */
export function wantsLoadBalancer(
  { metadata, spec }: Service,
  loadBalancerClass: string | undefined,
): boolean {
  return (
    spec.type === "LoadBalancer" &&
    spec.loadBalancerClass === loadBalancerClass &&
    metadata.deletionTimestamp === undefined
  );
}

/** There is, or may be, a load balancer that must go (LB-008). */
export function needsLoadBalancerCleanup({ metadata, spec }: Service): boolean {
  const isLeaving = metadata.deletionTimestamp !== undefined || spec.type !== "LoadBalancer";
  return isLeaving && (metadata.finalizers ?? []).includes(LOAD_BALANCER_FINALIZER);
}

/** Equal for Services that a load balancer treats alike (LB-010): labels are not in it, nor is the status. */
export function loadBalancerFingerprint({ metadata, spec }: Service): string {
  const ports = (spec.ports ?? []).map((port) => [
    port.name,
    port.protocol,
    port.port,
    port.nodePort,
    port.targetPort,
    port.appProtocol,
  ]);
  return JSON.stringify([
    metadata.uid,
    Object.entries(metadata.annotations ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ports,
    spec.loadBalancerSourceRanges,
    spec.sessionAffinity,
    spec.sessionAffinityConfig?.clientIP?.timeoutSeconds,
    spec.loadBalancerIP,
    spec.externalIPs,
    spec.externalTrafficPolicy,
    spec.healthCheckNodePort,
    (spec.ipFamilies ?? []).length,
  ]);
}

/** Nodes to which a load balancer may send; whether they are ready is for its health checks (LB-012, LB-013). */
export function isLoadBalancerNode({ metadata, spec }: Node): boolean {
  const excluded = metadata.labels?.[EXCLUDE_LABEL];
  return (
    metadata.deletionTimestamp === undefined &&
    (excluded === undefined || isFalse(excluded)) &&
    !(spec?.taints ?? []).some(({ key }) => key === AUTOSCALER_TAINT)
  );
}

/** As Go's ParseBool: any other text counts as true, the empty one too. */
function isFalse(text: string): boolean {
  return ["0", "f", "F", "false", "False", "FALSE"].includes(text);
}
