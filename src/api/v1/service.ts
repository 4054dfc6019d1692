import { condition, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  intOrString,
  list,
  map,
  message,
  present,
  string,
  stringOf,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

export const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export const SERVICE_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"] as const;

export const SESSION_AFFINITIES = ["ClientIP", "None"] as const;

/** Values of externalTrafficPolicy and internalTrafficPolicy. */
export const TRAFFIC_POLICIES = ["Cluster", "Local"] as const;
export type TrafficPolicy = (typeof TRAFFIC_POLICIES)[number];

/** Values of ipFamilies; the same words as `IpFamily` in net/. */
export const SERVICE_IP_FAMILIES = ["IPv4", "IPv6"] as const;

export const IP_FAMILY_POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"] as const;

export const TRAFFIC_DISTRIBUTIONS = ["PreferClose", "PreferSameNode", "PreferSameZone"] as const;

export const IP_MODES = ["Proxy", "VIP"] as const;

/** The value of `spec.clusterIP` that makes a Service headless. */
export const CLUSTER_IP_NONE = "None";

const servicePort = message(`${V1}.ServicePort`, "One port of a Service.", {
  name: field(1, string, {
    description: "Unique in the Service; required when there are several ports.",
  }),
  protocol: present(2, stringOf(PROTOCOLS), {
    description: "TCP, UDP or SCTP.",
    default: "TCP",
    enum: PROTOCOLS,
  }),
  port: present(3, int32, { required: true, description: "Port on the Service's addresses." }),
  targetPort: field(4, intOrString, {
    description: "Number, or name of a container's port, on the Pods; the same as port by default.",
  }),
  nodePort: field(5, int32, {
    description: "Port on every node, for types NodePort and LoadBalancer; allocated if left out.",
  }),
  appProtocol: field(6, string, {
    pointer: true,
    description: "What is spoken on the port, as a hint.",
  }),
});
export interface ServicePort extends ValueOf<typeof servicePort> {}

const clientIpConfig = message(`${V1}.ClientIPConfig`, "How long a client stays with its Pod.", {
  timeoutSeconds: field(1, int32, {
    pointer: true,
    description: "Seconds since the client's last connection, 1 to 86400; 10800 by default.",
  }),
});

const sessionAffinityConfig = message(
  `${V1}.SessionAffinityConfig`,
  "Settings of session affinity.",
  { clientIP: field(1, clientIpConfig, { description: "Settings of affinity ClientIP." }) },
);

const serviceSpec = message(`${V1}.ServiceSpec`, "What a Service should be.", {
  ports: field(
    1,
    list(servicePort, { listType: "map", mapKeys: ["port", "protocol"], mergeKey: "port" }),
    { description: "The ports that the Service offers." },
  ),
  selector: field(2, map(string, "atomic"), {
    description: "Labels of the Pods that serve; without it somebody else keeps the endpoints.",
  }),
  clusterIP: field(3, string, {
    description: "Address inside the cluster; None for a headless Service; allocated if left out.",
  }),
  type: present(4, stringOf(SERVICE_TYPES), {
    description: "ClusterIP, NodePort, LoadBalancer or ExternalName.",
    enum: SERVICE_TYPES,
  }),
  externalIPs: field(5, list(string), {
    description: "More addresses on which nodes take traffic for the Service.",
  }),
  sessionAffinity: present(7, stringOf(SESSION_AFFINITIES), {
    description: "ClientIP keeps a client with one Pod; None by default.",
    enum: SESSION_AFFINITIES,
  }),
  loadBalancerIP: field(8, string, {
    description: "Address asked of the load balancer. Deprecated.",
  }),
  loadBalancerSourceRanges: field(9, list(string), {
    description: "CIDRs from which the load balancer takes traffic.",
  }),
  externalName: field(10, string, { description: "DNS name that an ExternalName Service is." }),
  externalTrafficPolicy: field(11, stringOf(TRAFFIC_POLICIES), {
    description:
      "Which Pods take traffic from outside: all (Cluster) or those of the node (Local).",
    enum: TRAFFIC_POLICIES,
  }),
  healthCheckNodePort: field(12, int32, {
    description: "Port on which nodes say whether they have Pods, for externalTrafficPolicy Local.",
  }),
  publishNotReadyAddresses: field(13, boolean, {
    description: "Pods are published before they are ready.",
  }),
  sessionAffinityConfig: field(14, sessionAffinityConfig, {
    description: "Settings of session affinity.",
  }),
  ipFamilyPolicy: field(17, stringOf(IP_FAMILY_POLICIES), {
    pointer: true,
    description: "One family or two: SingleStack, PreferDualStack or RequireDualStack.",
    enum: IP_FAMILY_POLICIES,
  }),
  clusterIPs: field(18, list(string), {
    description: "The addresses inside the cluster, one a family; the first is clusterIP.",
  }),
  ipFamilies: field(19, list(stringOf(SERVICE_IP_FAMILIES)), {
    description: "Families of clusterIPs, in that order.",
  }),
  allocateLoadBalancerNodePorts: field(20, boolean, {
    pointer: true,
    description: "Whether a LoadBalancer Service gets node ports; true by default.",
  }),
  loadBalancerClass: field(21, string, {
    pointer: true,
    description: "Which load balancer implementation is meant; cannot change.",
  }),
  internalTrafficPolicy: field(22, stringOf(TRAFFIC_POLICIES), {
    pointer: true,
    description: "Which Pods take traffic from inside: all (Cluster) or those of the node (Local).",
    enum: TRAFFIC_POLICIES,
  }),
  trafficDistribution: field(23, string, {
    pointer: true,
    description: "Preference for near Pods: PreferClose, PreferSameZone or PreferSameNode.",
  }),
});
export interface ServiceSpec extends ValueOf<typeof serviceSpec> {}

const portStatus = message(`${V1}.PortStatus`, "State of one port of a load balancer.", {
  port: present(1, int32, { required: true, description: "Number of the port." }),
  protocol: present(2, stringOf(PROTOCOLS), {
    required: true,
    description: "Protocol of the port.",
    enum: PROTOCOLS,
  }),
  error: field(3, string, {
    pointer: true,
    description: "Why the port does not work, in one CamelCase word.",
  }),
});

const loadBalancerIngress = message(
  `${V1}.LoadBalancerIngress`,
  "One entry point of a load balancer.",
  {
    ip: field(1, string, { description: "Its address." }),
    hostname: field(2, string, { description: "Its DNS name." }),
    ipMode: field(3, stringOf(IP_MODES), {
      pointer: true,
      description: "VIP: packets arrive with this address; Proxy: with a node's or a Pod's.",
    }),
    ports: field(4, list(portStatus), { description: "State of its ports." }),
  },
);
export interface LoadBalancerIngress extends ValueOf<typeof loadBalancerIngress> {}

const loadBalancerStatus = message(
  `${V1}.LoadBalancerStatus`,
  "What a load balancer gave to the Service.",
  { ingress: field(1, list(loadBalancerIngress), { description: "Its entry points." }) },
);
export interface LoadBalancerStatus extends ValueOf<typeof loadBalancerStatus> {}

const serviceStatus = message(`${V1}.ServiceStatus`, "What a Service is now.", {
  loadBalancer: field(1, loadBalancerStatus, { description: "State of its load balancer." }),
  conditions: field(2, list(condition, { listType: "map", mapKeys: ["type"], mergeKey: "type" }), {
    description: "Aspects of its state.",
  }),
});
export interface ServiceStatus extends ValueOf<typeof serviceStatus> {}

export const service = message(
  `${V1}.Service`,
  "A name and an address for a set of Pods that serve the same.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, serviceSpec, { description: "What the Service should be." }),
    status: field(3, serviceStatus, { description: "What the Service is; written by the system." }),
  },
);
export interface Service extends ValueOf<typeof service> {}
