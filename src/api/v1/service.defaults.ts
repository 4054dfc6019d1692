import { withZeroValues } from "../machinery/zero-values.ts";
import { service as schema } from "./service.ts";
import type { Service, ServicePort, ServiceSpec } from "./service.ts";

/** Three hours (SVC-003). */
const DEFAULT_AFFINITY_TIMEOUT_SECONDS = 10_800;

/** Fills in what a Service leaves out (SVC-001 to SVC-009, SVC-011). Families and addresses are allocation's. */
export function defaultService(object: Service): Service {
  const service = withZeroValues(schema, object);
  const spec = defaultSpec(service.spec);
  const ingress = service.status?.loadBalancer?.ingress;
  if (ingress === undefined || spec.type !== "LoadBalancer") return { ...service, spec };
  return {
    ...service,
    spec,
    status: {
      ...service.status,
      loadBalancer: {
        ...service.status?.loadBalancer,
        ingress: ingress.map((entry) =>
          (entry.ip ?? "") !== "" && entry.ipMode === undefined
            ? { ...entry, ipMode: "VIP" }
            : entry,
        ),
      },
    },
  };
}

/** Whether something outside the cluster can reach the Service (SVC-006). */
export function isExternallyAccessible(spec: ServiceSpec): boolean {
  return (
    spec.type === "LoadBalancer" ||
    spec.type === "NodePort" ||
    (spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0)
  );
}

function defaultSpec(given: ServiceSpec): ServiceSpec {
  // Absent texts read "" in a Service that was only decoded, whatever their static type says.
  const type = given.type || "ClusterIP";
  const typed: ServiceSpec = { ...given, type, sessionAffinity: given.sessionAffinity || "None" };
  const { internalTrafficPolicy, ...others } = typed;
  const spec: ServiceSpec =
    type === "ExternalName"
      ? others
      : { ...typed, internalTrafficPolicy: internalTrafficPolicy ?? "Cluster" };
  return {
    ...defaultAffinity(spec),
    ...(spec.ports === undefined ? {} : { ports: spec.ports.map(defaultPort) }),
    ...(isExternallyAccessible(spec)
      ? { externalTrafficPolicy: spec.externalTrafficPolicy ?? "Cluster" }
      : {}),
    ...(type === "LoadBalancer"
      ? { allocateLoadBalancerNodePorts: spec.allocateLoadBalancerNodePorts ?? true }
      : {}),
  };
}

function defaultAffinity(spec: ServiceSpec): ServiceSpec {
  const { sessionAffinityConfig, ...others } = spec;
  if (spec.sessionAffinity === "None") return others;
  if (spec.sessionAffinity !== "ClientIP") return spec;
  const timeoutSeconds =
    sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_TIMEOUT_SECONDS;
  return { ...others, sessionAffinityConfig: { clientIP: { timeoutSeconds } } };
}

function defaultPort(port: ServicePort): ServicePort {
  return {
    ...port,
    protocol: port.protocol || "TCP",
    targetPort: port.targetPort === "" ? port.port : port.targetPort || port.port,
  };
}
