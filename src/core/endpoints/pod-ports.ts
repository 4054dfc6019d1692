import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Container } from "../../api/v1/container.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service, ServicePort } from "../../api/v1/service.ts";

/** A Service's port as one Pod serves it. */
export interface ResolvedPort {
  /** "" where the Service's port has no name. */
  readonly name: string;
  readonly protocol: ServicePort["protocol"];
  readonly port: number;
  readonly appProtocol?: string;
}

/**
 * The Service's ports on this Pod (EPS-030, 031, 033), sorted by name. A named target port is looked up in
 * the Pod's containers and is left out where the Pod has none of that name and protocol.
 */
export function resolvePorts(service: Service, pod: Pod): readonly ResolvedPort[] {
  const resolved: ResolvedPort[] = [];
  for (const servicePort of service.spec.ports ?? []) {
    const port = targetPortOf(servicePort, pod);
    if (port === undefined) continue;
    resolved.push({
      name: servicePort.name ?? "",
      protocol: servicePort.protocol,
      port,
      ...(servicePort.appProtocol === undefined ? {} : { appProtocol: servicePort.appProtocol }),
    });
  }
  return resolved.toSorted(comparePorts);
}

/** Pods of equal keys have the same ports and may share a slice (EPS-032). */
export function portsKey(ports: readonly ResolvedPort[]): string {
  return ports
    .map((port) => [port.name, port.protocol, port.port, port.appProtocol ?? ""].join("\u0000"))
    .join("\u0001");
}

export function comparePorts(a: ResolvedPort, b: ResolvedPort): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  if (a.protocol !== b.protocol) return a.protocol < b.protocol ? -1 : 1;
  return a.port - b.port;
}

/** The ports that a slice says it has, in the order of {@link resolvePorts}. */
export function slicePortsOf(slice: EndpointSlice): readonly ResolvedPort[] {
  return (slice.ports ?? [])
    .map(
      (port): ResolvedPort => ({
        name: port.name ?? "",
        protocol: port.protocol ?? "TCP",
        port: port.port ?? 0,
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      }),
    )
    .toSorted(comparePorts);
}

function targetPortOf(servicePort: ServicePort, pod: Pod): number | undefined {
  const target = servicePort.targetPort ?? servicePort.port;
  if (typeof target === "number") return target === 0 ? servicePort.port : target;
  if (target === "") return servicePort.port;
  for (const container of servingContainers(pod)) {
    for (const port of container.ports ?? []) {
      if (port.name === target && port.protocol === servicePort.protocol) return port.containerPort;
    }
  }
  return undefined;
}

/** The containers, and then the init containers that go on running beside them (sidecars). */
function servingContainers(pod: Pod): readonly Container[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === "Always",
  );
  return [...pod.spec.containers, ...sidecars];
}
