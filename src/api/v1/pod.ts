import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  int64,
  list,
  map,
  message,
  present,
  quantity,
  string,
  stringOf,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { affinity, topologySpreadConstraint } from "./affinity.ts";
import { container, ephemeralContainer } from "./container.ts";
import { podStatus } from "./pod-status.ts";
import { localObjectReference } from "./reference.ts";
import { resourceRequirements } from "./resources.ts";
import { podSecurityContext } from "./security.ts";
import { toleration } from "./taint.ts";
import { volume } from "./volume.ts";

const V1 = "io.k8s.api.core.v1";

export const RESTART_POLICIES = ["Always", "OnFailure", "Never"] as const;

const hostAlias = message(`${V1}.HostAlias`, "Names for an address, in the Pod's hosts file.", {
  ip: present(1, string, { required: true }),
  hostnames: field(2, list(string)),
});

const podDnsConfigOption = message(`${V1}.PodDNSConfigOption`, "An option of the resolver.", {
  name: field(1, string),
  value: field(2, string, { pointer: true }),
});

const podDnsConfig = message(`${V1}.PodDNSConfig`, "Settings of the Pod's resolver.", {
  nameservers: field(1, list(string)),
  searches: field(2, list(string)),
  options: field(3, list(podDnsConfigOption)),
});

const podReadinessGate = message(`${V1}.PodReadinessGate`, "A condition needed for readiness.", {
  conditionType: present(1, string, { required: true }),
});

const podSchedulingGate = message(`${V1}.PodSchedulingGate`, "Holds the Pod from scheduling.", {
  name: present(1, string, { required: true }),
});

const podOs = message(`${V1}.PodOS`, "Operating system of the containers.", {
  name: present(1, string, { required: true }),
});

const podResourceClaim = message(`${V1}.PodResourceClaim`, "A claim that containers may use.", {
  name: present(1, string, { required: true }),
  resourceClaimName: field(3, string, { pointer: true }),
  resourceClaimTemplateName: field(4, string, { pointer: true }),
});

const byName = { listType: "map", mapKeys: ["name"], mergeKey: "name" } as const;

export const podSpec = message(`${V1}.PodSpec`, "What a Pod should be.", {
  volumes: field(1, list(volume, byName), { description: "Its volumes.", retainKeys: true }),
  containers: present(2, list(container, byName), {
    required: true,
    description: "Its programs.",
  }),
  restartPolicy: field(3, stringOf(RESTART_POLICIES), {
    description: "When containers are started again: Always, OnFailure or Never.",
    enum: RESTART_POLICIES,
  }),
  terminationGracePeriodSeconds: field(4, int64, {
    pointer: true,
    description: "Seconds from the signal to stop until it is killed; 30 by default.",
  }),
  activeDeadlineSeconds: field(5, int64, {
    pointer: true,
    description: "Seconds that it may run at all.",
  }),
  dnsPolicy: field(6, string, {
    description: "ClusterFirst, ClusterFirstWithHostNet, Default or None.",
  }),
  nodeSelector: field(7, map(string, "atomic"), { description: "Labels its node must have." }),
  serviceAccountName: field(8, string, { description: "ServiceAccount that it runs as." }),
  serviceAccount: field(9, string, { description: "Old name of serviceAccountName." }),
  nodeName: field(10, string, { description: "The node that it runs on." }),
  hostNetwork: field(11, boolean, { description: "It uses the node's network and address." }),
  hostPID: field(12, boolean),
  hostIPC: field(13, boolean),
  securityContext: field(14, podSecurityContext, { description: "What its processes may do." }),
  imagePullSecrets: field(15, list(localObjectReference, byName)),
  hostname: field(16, string, { description: "Its host name; the Pod's name by default." }),
  subdomain: field(17, string, {
    description: "Headless Service under whose name its host name is found in DNS.",
  }),
  affinity: field(18, affinity, { description: "Where it may or should run." }),
  schedulerName: field(19, string, { description: "Who chooses its node." }),
  initContainers: field(20, list(container, byName), {
    description: "Programs that run one by one before the containers.",
  }),
  automountServiceAccountToken: field(21, boolean, { pointer: true }),
  tolerations: field(22, list(toleration), { description: "Taints it tolerates." }),
  hostAliases: field(23, list(hostAlias, { listType: "map", mapKeys: ["ip"], mergeKey: "ip" })),
  priorityClassName: field(24, string),
  priority: field(25, int32, { pointer: true }),
  dnsConfig: field(26, podDnsConfig, { description: "Settings of its resolver." }),
  shareProcessNamespace: field(27, boolean, { pointer: true }),
  readinessGates: field(28, list(podReadinessGate), {
    description: "Conditions that must be True for the Pod to be ready.",
  }),
  runtimeClassName: field(29, string, { pointer: true }),
  enableServiceLinks: field(30, boolean, {
    pointer: true,
    description: "Services of the namespace become environment variables; true by default.",
  }),
  preemptionPolicy: field(31, string, { pointer: true }),
  overhead: field(32, map(quantity)),
  topologySpreadConstraints: field(
    33,
    list(topologySpreadConstraint, {
      listType: "map",
      mapKeys: ["topologyKey", "whenUnsatisfiable"],
      mergeKey: "topologyKey",
    }),
  ),
  ephemeralContainers: field(34, list(ephemeralContainer, byName)),
  setHostnameAsFQDN: field(35, boolean, { pointer: true }),
  os: field(36, podOs),
  hostUsers: field(37, boolean, { pointer: true }),
  schedulingGates: field(38, list(podSchedulingGate, byName)),
  resourceClaims: field(39, list(podResourceClaim, byName), { retainKeys: true }),
  resources: field(40, resourceRequirements),
  hostnameOverride: field(41, string, { pointer: true }),
});
export interface PodSpec extends ValueOf<typeof podSpec> {}

export const pod = message(`${V1}.Pod`, "Programs that run together on one node.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, podSpec, { description: "What the Pod should be." }),
  status: field(3, podStatus, { description: "What the Pod is; written by its node's agent." }),
});
export interface Pod extends ValueOf<typeof pod> {}
