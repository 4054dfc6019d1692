import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  int64,
  intOrString,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podTemplateSpec } from "../v1/pod-template.ts";
import { conditionsOf } from "./condition.ts";

const APPS = "io.k8s.api.apps.v1";

const rollingUpdateDeployment = message(`${APPS}.RollingUpdateDeployment`, "Pace of an update.", {
  maxUnavailable: field(1, intOrString, {
    pointer: true,
    description: "Pods, or percent of them rounded down, that may be missing. Default 25%.",
  }),
  maxSurge: field(2, intOrString, {
    pointer: true,
    description: "Pods, or percent of them rounded up, that there may be too many. Default 25%.",
  }),
});

const deploymentStrategy = message(`${APPS}.DeploymentStrategy`, "How Pods are replaced.", {
  type: field(1, string, {
    enum: ["Recreate", "RollingUpdate"],
    description: "Default RollingUpdate.",
  }),
  rollingUpdate: field(2, rollingUpdateDeployment),
});

const deploymentSpec = message(`${APPS}.DeploymentSpec`, "What a Deployment should be.", {
  replicas: field(1, int32, { pointer: true, default: 1, description: "Pods wanted." }),
  selector: field(2, labelSelector, {
    required: true,
    description: "Labels of the Pods; cannot change.",
  }),
  template: present(3, podTemplateSpec, {
    required: true,
    description: "What Pods are made from.",
  }),
  strategy: field(4, deploymentStrategy, { retainKeys: true }),
  minReadySeconds: field(5, int32, {
    description: "Seconds that a Pod must be ready before it counts as available.",
  }),
  revisionHistoryLimit: field(6, int32, {
    pointer: true,
    description: "Old ReplicaSets kept for undo. Default 10.",
  }),
  paused: field(7, boolean, { description: "Changes of the template wait." }),
  progressDeadlineSeconds: field(9, int32, {
    pointer: true,
    description: "Seconds without progress after which the update counts as failed. Default 600.",
  }),
});

const deploymentCondition = message(`${APPS}.DeploymentCondition`, "One aspect of the state.", {
  type: present(1, string, { required: true }),
  status: present(2, string, { required: true }),
  lastUpdateTime: field(6, time),
  lastTransitionTime: field(7, time),
  reason: field(4, string),
  message: field(5, string),
});
export interface DeploymentCondition extends ValueOf<typeof deploymentCondition> {}

const deploymentStatus = message(`${APPS}.DeploymentStatus`, "What a Deployment is.", {
  observedGeneration: field(1, int64),
  replicas: field(2, int32),
  updatedReplicas: field(3, int32),
  readyReplicas: field(7, int32),
  availableReplicas: field(4, int32),
  unavailableReplicas: field(5, int32),
  terminatingReplicas: field(9, int32, { pointer: true }),
  conditions: field(6, conditionsOf(deploymentCondition)),
  collisionCount: field(8, int32, { pointer: true }),
});
export interface DeploymentStatus extends ValueOf<typeof deploymentStatus> {}

export const deployment = message(`${APPS}.Deployment`, "Keeps Pods, and updates them in turn.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, deploymentSpec, { description: "What should be." }),
  status: field(3, deploymentStatus, { description: "What is." }),
});
export interface Deployment extends ValueOf<typeof deployment> {}
