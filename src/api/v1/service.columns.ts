import { AGE_COLUMN, formatLabels, NAME_COLUMN } from "../machinery/cells.ts";
import type { Column } from "../machinery/kind.ts";
import type { LoadBalancerStatus, Service, ServicePort } from "./service.ts";

/** The columns of `kubectl get services`. Source of the cells: upstream `printers/internalversion`. */
export const serviceColumns: readonly Column<Service>[] = [
  NAME_COLUMN,
  {
    name: "Type",
    type: "string",
    description: "ClusterIP, NodePort, LoadBalancer or ExternalName.",
    priority: 0,
    cell: (service) => service.spec.type,
  },
  {
    name: "Cluster-IP",
    type: "string",
    description: "Address inside the cluster; None for a headless Service.",
    priority: 0,
    cell: (service) => service.spec.clusterIPs?.[0] ?? service.spec.clusterIP ?? "<none>",
  },
  {
    name: "External-IP",
    type: "string",
    description: "Addresses or names by which the outside reaches the Service.",
    priority: 0,
    cell: externalAddress,
  },
  {
    name: "Port(s)",
    type: "string",
    description: "Ports, with their node ports.",
    priority: 0,
    cell: (service) => formatPorts(service.spec.ports ?? []),
  },
  AGE_COLUMN,
  {
    name: "Selector",
    type: "string",
    description: "Labels of the Pods that serve.",
    priority: 1,
    cell: (service) => formatLabels(service.spec.selector),
  },
];

function externalAddress(service: Service): string {
  const externalIPs = service.spec.externalIPs ?? [];
  switch (service.spec.type) {
    case "ClusterIP":
    case "NodePort":
      return externalIPs.length > 0 ? externalIPs.join(",") : "<none>";
    case "LoadBalancer": {
      const all = [...loadBalancerAddresses(service.status?.loadBalancer), ...externalIPs];
      return all.length > 0 ? all.join(",") : "<pending>";
    }
    case "ExternalName":
      return service.spec.externalName ?? "<none>";
    default:
      return "<unknown>";
  }
}

function loadBalancerAddresses(status: LoadBalancerStatus | undefined): readonly string[] {
  const all = (status?.ingress ?? []).map((entry) => entry.ip || (entry.hostname ?? ""));
  return [...new Set(all)].filter((text) => text !== "").toSorted();
}

function formatPorts(ports: readonly ServicePort[]): string {
  if (ports.length === 0) return "<none>";
  return ports
    .map(({ port, nodePort = 0, protocol }) =>
      nodePort > 0
        ? `${String(port)}:${String(nodePort)}/${protocol}`
        : `${String(port)}/${protocol}`,
    )
    .join(",");
}
