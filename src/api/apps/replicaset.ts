import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, int64, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podTemplateSpec } from "../v1/pod-template.ts";
import { conditionsOf, workloadCondition } from "./condition.ts";

const APPS = "io.k8s.api.apps.v1";

const replicaSetSpec = message(`${APPS}.ReplicaSetSpec`, "How many Pods, and of what.", {
  replicas: field(1, int32, { pointer: true, default: 1, description: "Pods wanted." }),
  minReadySeconds: field(4, int32, {
    description: "Seconds that a Pod must be ready before it counts as available.",
  }),
  selector: field(2, labelSelector, {
    required: true,
    description: "Labels of the Pods counted; cannot change.",
  }),
  template: present(3, podTemplateSpec, { description: "What Pods are made from." }),
});

const replicaSetStatus = message(`${APPS}.ReplicaSetStatus`, "How many Pods there are.", {
  replicas: present(1, int32, { required: true }),
  fullyLabeledReplicas: field(2, int32),
  readyReplicas: field(4, int32),
  availableReplicas: field(5, int32),
  terminatingReplicas: field(7, int32, { pointer: true }),
  observedGeneration: field(3, int64),
  conditions: field(6, conditionsOf(workloadCondition("ReplicaSet"))),
});
export interface ReplicaSetStatus extends ValueOf<typeof replicaSetStatus> {}

export const replicaSet = message(`${APPS}.ReplicaSet`, "Keeps a number of Pods.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, replicaSetSpec, { description: "What should be." }),
  status: field(3, replicaSetStatus, { description: "What is." }),
});
export interface ReplicaSet extends ValueOf<typeof replicaSet> {}
