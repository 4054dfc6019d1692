import {
  boolean,
  field,
  inline,
  int32,
  list,
  message,
  present,
  string,
  stringOf,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { envFromSource, envVar } from "./env.ts";
import { lifecycle, probe } from "./probe.ts";
import { resourceRequirements } from "./resources.ts";
import { securityContext } from "./security.ts";
import { PROTOCOLS } from "./service.ts";
import { volumeDevice, volumeMount } from "./volume.ts";

const V1 = "io.k8s.api.core.v1";

const containerPort = message(`${V1}.ContainerPort`, "A port that a container serves.", {
  name: field(1, string, { description: "Name by which Services and probes may mean it." }),
  hostPort: field(2, int32, { description: "The same port on the node." }),
  containerPort: present(3, int32, { required: true, description: "Number of the port." }),
  protocol: present(4, stringOf(PROTOCOLS), {
    description: "TCP, UDP or SCTP.",
    default: "TCP",
    enum: PROTOCOLS,
  }),
  hostIP: field(5, string, { description: "Address of the node for hostPort." }),
});
export interface ContainerPort extends ValueOf<typeof containerPort> {}

const containerResizePolicy = message(
  `${V1}.ContainerResizePolicy`,
  "What happens when a resource is resized.",
  {
    resourceName: present(1, string, { required: true }),
    restartPolicy: present(2, string, { required: true }),
  },
);

const containerRestartRuleOnExitCodes = message(
  `${V1}.ContainerRestartRuleOnExitCodes`,
  "Exit codes that a rule is for.",
  {
    operator: present(1, string, { required: true }),
    values: field(2, list(int32, { listType: "set" })),
  },
);

const containerRestartRule = message(`${V1}.ContainerRestartRule`, "When to restart.", {
  action: present(1, string, { required: true }),
  exitCodes: field(2, containerRestartRuleOnExitCodes),
});

const containerFields = {
  name: present(1, string, { required: true, description: "Unique in the Pod." }),
  image: field(2, string, { description: "What to run." }),
  command: field(3, list(string), { description: "Program to run instead of the image's own." }),
  args: field(4, list(string), { description: "Arguments; $(NAME) stands for a variable." }),
  workingDir: field(5, string, { description: "Directory to run in." }),
  ports: field(
    6,
    list(containerPort, {
      listType: "map",
      mapKeys: ["containerPort", "protocol"],
      mergeKey: "containerPort",
    }),
    { description: "Ports that the container serves." },
  ),
  env: field(7, list(envVar, { listType: "map", mapKeys: ["name"], mergeKey: "name" }), {
    description: "Variables in the environment.",
  }),
  resources: field(8, resourceRequirements, { description: "What it needs and may use." }),
  volumeMounts: field(
    9,
    list(volumeMount, { listType: "map", mapKeys: ["mountPath"], mergeKey: "mountPath" }),
    { description: "Where it sees volumes." },
  ),
  livenessProbe: field(10, probe, { description: "Failing it restarts the container." }),
  readinessProbe: field(11, probe, { description: "Failing it takes the Pod out of Services." }),
  lifecycle: field(12, lifecycle, { description: "Hooks." }),
  terminationMessagePath: field(13, string, { description: "File with its last words." }),
  imagePullPolicy: field(14, string, { description: "Always, IfNotPresent or Never." }),
  securityContext: field(15, securityContext, { description: "What its processes may do." }),
  stdin: field(16, boolean, { description: "Standard input stays open." }),
  stdinOnce: field(17, boolean, { description: "Standard input closes after the first client." }),
  tty: field(18, boolean, { description: "It has a terminal." }),
  envFrom: field(19, list(envFromSource), { description: "Variables from whole objects." }),
  terminationMessagePolicy: field(20, string, {
    description: "File, or FallbackToLogsOnError.",
  }),
  volumeDevices: field(
    21,
    list(volumeDevice, { listType: "map", mapKeys: ["devicePath"], mergeKey: "devicePath" }),
    { description: "Where it sees raw devices." },
  ),
  startupProbe: field(22, probe, { description: "Until it succeeds, no other probe runs." }),
  resizePolicy: field(23, list(containerResizePolicy), {
    description: "What happens when a resource is resized.",
  }),
  restartPolicy: field(24, string, {
    pointer: true,
    description: "Always makes an init container a sidecar; overrides the Pod's policy.",
  }),
  restartPolicyRules: field(25, list(containerRestartRule), {
    description: "When to restart, by exit code.",
  }),
} as const;

export const container = message(`${V1}.Container`, "A program of a Pod.", containerFields);
export interface Container extends ValueOf<typeof container> {}

const ephemeralContainerCommon = message(
  `${V1}.EphemeralContainerCommon`,
  "What an ephemeral container shares with others.",
  containerFields,
);

export const ephemeralContainer = message(
  `${V1}.EphemeralContainer`,
  "A program added to a running Pod.",
  {
    common: inline(1, ephemeralContainerCommon),
    targetContainerName: field(2, string),
  },
);
