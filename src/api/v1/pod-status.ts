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
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { resourceRequirements } from "./resources.ts";

const V1 = "io.k8s.api.core.v1";

const POD_PHASES = ["Failed", "Pending", "Running", "Succeeded", "Unknown"] as const;

const containerStateWaiting = message(`${V1}.ContainerStateWaiting`, "It does not run yet.", {
  reason: field(1, string, { description: "Why, in one CamelCase word." }),
  message: field(2, string, { description: "Why, in a sentence." }),
});

const containerStateRunning = message(`${V1}.ContainerStateRunning`, "It runs.", {
  startedAt: field(1, time, { description: "Since when." }),
});

const containerStateTerminated = message(`${V1}.ContainerStateTerminated`, "It has ended.", {
  exitCode: present(1, int32, { required: true, description: "Exit code of its process." }),
  signal: field(2, int32, { description: "Signal that ended it." }),
  reason: field(3, string, { description: "Why, in one CamelCase word." }),
  message: field(4, string, { description: "Its last words." }),
  startedAt: field(5, time, { description: "When it started." }),
  finishedAt: field(6, time, { description: "When it ended." }),
  containerID: field(7, string, { description: "Its ID, as type://id." }),
});

const containerState = message(
  `${V1}.ContainerState`,
  "Waiting, running or terminated; none of them means waiting.",
  {
    waiting: field(1, containerStateWaiting),
    running: field(2, containerStateRunning),
    terminated: field(3, containerStateTerminated),
  },
);
export interface ContainerState extends ValueOf<typeof containerState> {}

const volumeMountStatus = message(`${V1}.VolumeMountStatus`, "How a volume is mounted.", {
  name: present(1, string, { required: true }),
  mountPath: present(2, string, { required: true }),
  readOnly: field(3, boolean),
  recursiveReadOnly: field(4, string, { pointer: true }),
});

const linuxContainerUser = message(`${V1}.LinuxContainerUser`, "User of the first process.", {
  uid: present(1, int64, { required: true }),
  gid: present(2, int64, { required: true }),
  supplementalGroups: field(3, list(int64)),
});

const containerUser = message(`${V1}.ContainerUser`, "User of the first process.", {
  linux: field(1, linuxContainerUser),
});

const resourceHealth = message(`${V1}.ResourceHealth`, "Health of a device.", {
  resourceID: present(1, string, { required: true }),
  health: field(2, string),
});

const resourceStatus = message(`${V1}.ResourceStatus`, "State of a resource.", {
  name: present(1, string, { required: true }),
  resources: field(2, list(resourceHealth, { listType: "map", mapKeys: ["resourceID"] })),
});

const containerStatus = message(`${V1}.ContainerStatus`, "What a container is now.", {
  name: present(1, string, { required: true, description: "Name of the container." }),
  state: field(2, containerState, { description: "What it does now." }),
  lastState: field(3, containerState, { description: "How its last run ended." }),
  ready: present(4, boolean, { required: true, description: "It passes its readiness probe." }),
  restartCount: present(5, int32, { required: true, description: "How often it was restarted." }),
  image: present(6, string, { required: true, description: "What it runs." }),
  imageID: present(7, string, { required: true, description: "ID of what it runs." }),
  containerID: field(8, string, { description: "Its ID, as type://id." }),
  started: field(9, boolean, {
    pointer: true,
    description: "It runs and has passed its startup probe.",
  }),
  allocatedResources: field(10, map(quantity)),
  resources: field(11, resourceRequirements),
  volumeMounts: field(
    12,
    list(volumeMountStatus, { listType: "map", mapKeys: ["mountPath"], mergeKey: "mountPath" }),
  ),
  user: field(13, containerUser),
  allocatedResourcesStatus: field(
    14,
    list(resourceStatus, { listType: "map", mapKeys: ["name"], mergeKey: "name" }),
  ),
  stopSignal: field(15, string, { pointer: true }),
});
export interface ContainerStatus extends ValueOf<typeof containerStatus> {}

const podCondition = message(`${V1}.PodCondition`, "One aspect of a Pod's state.", {
  type: present(1, string, {
    required: true,
    description: "PodScheduled, Initialized, ContainersReady, Ready or a readiness gate.",
  }),
  status: present(2, string, { required: true, description: "True, False or Unknown." }),
  lastProbeTime: field(3, time),
  lastTransitionTime: field(4, time, { description: "When status last changed." }),
  reason: field(5, string, { description: "Why, in one CamelCase word." }),
  message: field(6, string, { description: "Why, in a sentence." }),
  observedGeneration: field(7, int64, { description: "Generation that this was decided on." }),
});
export interface PodCondition extends ValueOf<typeof podCondition> {}

const hostIp = message(`${V1}.HostIP`, "An address of the Pod's node.", {
  ip: present(1, string, { required: true }),
});

const podIp = message(`${V1}.PodIP`, "An address of the Pod.", {
  ip: present(1, string, { required: true }),
});

const podResourceClaimStatus = message(`${V1}.PodResourceClaimStatus`, "A claim made for it.", {
  name: present(1, string, { required: true }),
  resourceClaimName: field(2, string, { pointer: true }),
});

const containerExtendedResourceRequest = message(
  `${V1}.ContainerExtendedResourceRequest`,
  "Which request of a claim serves a container.",
  {
    containerName: present(1, string, { required: true }),
    resourceName: present(2, string, { required: true }),
    requestName: present(3, string, { required: true }),
  },
);

const podExtendedResourceClaimStatus = message(
  `${V1}.PodExtendedResourceClaimStatus`,
  "The claim made for extended resources.",
  {
    requestMappings: present(1, list(containerExtendedResourceRequest), { required: true }),
    resourceClaimName: present(2, string, { required: true }),
  },
);

export const podStatus = message(`${V1}.PodStatus`, "What a Pod is now.", {
  phase: field(1, stringOf(POD_PHASES), {
    description: "Pending, Running, Succeeded, Failed or Unknown.",
    enum: POD_PHASES,
  }),
  conditions: field(
    2,
    list(podCondition, { listType: "map", mapKeys: ["type"], mergeKey: "type" }),
    { description: "Aspects of its state, Ready among them." },
  ),
  message: field(3, string, { description: "Why it is in this state, in a sentence." }),
  reason: field(4, string, { description: "Why it is in this state, in one CamelCase word." }),
  hostIP: field(5, string, { description: "Address of its node." }),
  podIP: field(6, string, { description: "Its address." }),
  startTime: field(7, time, { description: "When its node took it." }),
  containerStatuses: field(8, list(containerStatus), { description: "What its containers are." }),
  qosClass: field(9, string, { description: "Guaranteed, Burstable or BestEffort." }),
  initContainerStatuses: field(10, list(containerStatus), {
    description: "What its init containers are.",
  }),
  nominatedNodeName: field(11, string, { description: "Node kept free for it." }),
  podIPs: field(12, list(podIp, { listType: "map", mapKeys: ["ip"], mergeKey: "ip" }), {
    description: "Its addresses, one a family; the first is podIP.",
  }),
  ephemeralContainerStatuses: field(13, list(containerStatus), {
    description: "What its ephemeral containers are.",
  }),
  resize: field(14, string, { description: "State of a resize. Deprecated." }),
  resourceClaimStatuses: field(
    15,
    list(podResourceClaimStatus, { listType: "map", mapKeys: ["name"], mergeKey: "name" }),
    { retainKeys: true },
  ),
  hostIPs: field(16, list(hostIp, { mergeKey: "ip" }), {
    description: "Addresses of its node; the first is hostIP.",
  }),
  observedGeneration: field(17, int64, { description: "Generation that its node has seen." }),
  extendedResourceClaimStatus: field(18, podExtendedResourceClaimStatus),
});
export interface PodStatus extends ValueOf<typeof podStatus> {}
