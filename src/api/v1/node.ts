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
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { taint } from "./taint.ts";

const V1 = "io.k8s.api.core.v1";

const configMapNodeConfigSource = message(`${V1}.ConfigMapNodeConfigSource`, "No longer used.", {
  namespace: present(1, string, { required: true }),
  name: present(2, string, { required: true }),
  uid: field(3, string),
  resourceVersion: field(4, string),
  kubeletConfigKey: present(5, string, { required: true }),
});

const nodeConfigSource = message(`${V1}.NodeConfigSource`, "No longer used.", {
  configMap: field(2, configMapNodeConfigSource),
});

const nodeConfigStatus = message(`${V1}.NodeConfigStatus`, "No longer used.", {
  assigned: field(1, nodeConfigSource),
  active: field(2, nodeConfigSource),
  lastKnownGood: field(3, nodeConfigSource),
  error: field(4, string),
});

const nodeSpec = message(`${V1}.NodeSpec`, "What a Node should be.", {
  podCIDR: field(1, string, { description: "Range of the Pods' addresses on the node." }),
  externalID: field(2, string, { description: "No longer used." }),
  providerID: field(3, string, { description: "How the cloud names the node." }),
  unschedulable: field(4, boolean, { description: "No new Pods are placed on the node." }),
  taints: field(5, list(taint), { description: "Keep Pods off that do not tolerate them." }),
  configSource: field(6, nodeConfigSource, { description: "No longer used." }),
  podCIDRs: field(7, list(string, { listType: "set", mergeKey: "" }), {
    description: "Ranges of the Pods' addresses, one a family; the first is podCIDR.",
  }),
});

const nodeCondition = message(`${V1}.NodeCondition`, "One aspect of a Node's state.", {
  type: present(1, string, { required: true }),
  status: present(2, string, { required: true }),
  lastHeartbeatTime: field(3, time),
  lastTransitionTime: field(4, time),
  reason: field(5, string),
  message: field(6, string),
});
export interface NodeCondition extends ValueOf<typeof nodeCondition> {}

const nodeAddress = message(`${V1}.NodeAddress`, "One address or name of a Node.", {
  type: present(1, string, {
    required: true,
    description: "InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS.",
  }),
  address: present(2, string, { required: true }),
});

const daemonEndpoint = message(`${V1}.DaemonEndpoint`, "A port of a daemon.", {
  Port: present(1, int32, { required: true }),
});

const nodeDaemonEndpoints = message(`${V1}.NodeDaemonEndpoints`, "Ports of daemons on the node.", {
  kubeletEndpoint: field(1, daemonEndpoint),
});

const nodeSwapStatus = message(`${V1}.NodeSwapStatus`, "Swap on the node.", {
  capacity: field(1, int64, { pointer: true }),
});

const nodeSystemInfo = message(`${V1}.NodeSystemInfo`, "What the machine is.", {
  machineID: present(1, string, { required: true }),
  systemUUID: present(2, string, { required: true }),
  bootID: present(3, string, { required: true }),
  kernelVersion: present(4, string, { required: true }),
  osImage: present(5, string, { required: true }),
  containerRuntimeVersion: present(6, string, { required: true }),
  kubeletVersion: present(7, string, { required: true }),
  kubeProxyVersion: present(8, string, { required: true }),
  operatingSystem: present(9, string, { required: true }),
  architecture: present(10, string, { required: true }),
  swap: field(11, nodeSwapStatus),
});

const containerImage = message(`${V1}.ContainerImage`, "An image on the node.", {
  names: field(1, list(string)),
  sizeBytes: field(2, int64),
});

const attachedVolume = message(`${V1}.AttachedVolume`, "A volume attached to the node.", {
  name: present(1, string, { required: true }),
  devicePath: present(2, string, { required: true }),
});

const nodeRuntimeHandlerFeatures = message(
  `${V1}.NodeRuntimeHandlerFeatures`,
  "What a runtime handler can do.",
  {
    recursiveReadOnlyMounts: field(1, boolean, { pointer: true }),
    userNamespaces: field(2, boolean, { pointer: true }),
  },
);

const nodeRuntimeHandler = message(`${V1}.NodeRuntimeHandler`, "A runtime handler of the node.", {
  name: field(1, string),
  features: field(2, nodeRuntimeHandlerFeatures),
});

const nodeFeatures = message(`${V1}.NodeFeatures`, "What the node's runtime can do.", {
  supplementalGroupsPolicy: field(1, boolean, { pointer: true }),
});

const nodeStatus = message(`${V1}.NodeStatus`, "What a Node is now.", {
  capacity: field(1, map(quantity), { description: "All resources of the node." }),
  allocatable: field(2, map(quantity), { description: "Resources that Pods may use." }),
  phase: field(3, string, { description: "No longer used." }),
  conditions: field(
    4,
    list(nodeCondition, { listType: "map", mapKeys: ["type"], mergeKey: "type" }),
    { description: "Aspects of its state, Ready among them." },
  ),
  addresses: field(5, list(nodeAddress, { listType: "map", mapKeys: ["type"], mergeKey: "type" }), {
    description: "Addresses and names by which the node is reached.",
  }),
  daemonEndpoints: field(6, nodeDaemonEndpoints, { description: "Ports of daemons on the node." }),
  nodeInfo: field(7, nodeSystemInfo, { description: "What the machine is." }),
  images: field(8, list(containerImage), { description: "Images on the node." }),
  volumesInUse: field(9, list(string), { description: "Attachable volumes in use." }),
  volumesAttached: field(10, list(attachedVolume), { description: "Volumes attached." }),
  config: field(11, nodeConfigStatus, { description: "No longer used." }),
  runtimeHandlers: field(12, list(nodeRuntimeHandler), { description: "Runtime handlers." }),
  features: field(13, nodeFeatures, { description: "What the node's runtime can do." }),
});

export const node = message(`${V1}.Node`, "A machine that runs Pods.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, nodeSpec, { description: "What the Node should be." }),
  status: field(3, nodeStatus, { description: "What the Node is; written by its agent." }),
});
export interface Node extends ValueOf<typeof node> {}
