import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  field,
  int32,
  int64,
  intOrString,
  list,
  message,
  present,
  string,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { persistentVolumeClaim } from "../v1/persistentvolumeclaim.ts";
import { podTemplateSpec } from "../v1/pod-template.ts";
import { conditionsOf, workloadCondition } from "./condition.ts";

const APPS = "io.k8s.api.apps.v1";

const rollingUpdateStatefulSetStrategy = message(
  `${APPS}.RollingUpdateStatefulSetStrategy`,
  "Extent and pace of an update.",
  {
    partition: field(1, int32, {
      pointer: true,
      description: "Pods with a lower ordinal stay as they are. Default 0.",
    }),
    maxUnavailable: field(2, intOrString, { pointer: true }),
  },
);

const statefulSetUpdateStrategy = message(
  `${APPS}.StatefulSetUpdateStrategy`,
  "How Pods are replaced.",
  {
    type: field(1, string, { enum: ["OnDelete", "RollingUpdate"] }),
    rollingUpdate: field(2, rollingUpdateStatefulSetStrategy),
  },
);

const retentionPolicy = message(
  `${APPS}.StatefulSetPersistentVolumeClaimRetentionPolicy`,
  "What becomes of claims.",
  { whenDeleted: field(1, string), whenScaled: field(2, string) },
);

const statefulSetOrdinals = message(`${APPS}.StatefulSetOrdinals`, "How Pods are numbered.", {
  start: present(1, int32, { required: true, description: "Number of the first Pod." }),
});

const statefulSetSpec = message(`${APPS}.StatefulSetSpec`, "What a StatefulSet should be.", {
  replicas: field(1, int32, { pointer: true, default: 1, description: "Pods wanted." }),
  selector: field(2, labelSelector, { required: true, description: "Labels of the Pods." }),
  template: present(3, podTemplateSpec, {
    required: true,
    description: "What Pods are made from.",
  }),
  volumeClaimTemplates: field(4, list(persistentVolumeClaim)),
  serviceName: present(5, string, {
    description: "Headless Service in whose domain the Pods have their names.",
  }),
  podManagementPolicy: field(6, string, { enum: ["OrderedReady", "Parallel"] }),
  updateStrategy: field(7, statefulSetUpdateStrategy),
  revisionHistoryLimit: field(8, int32, { pointer: true }),
  minReadySeconds: field(9, int32),
  persistentVolumeClaimRetentionPolicy: field(10, retentionPolicy),
  ordinals: field(11, statefulSetOrdinals),
});

const statefulSetStatus = message(`${APPS}.StatefulSetStatus`, "What a StatefulSet is.", {
  observedGeneration: field(1, int64),
  replicas: present(2, int32, { required: true }),
  readyReplicas: field(3, int32),
  currentReplicas: field(4, int32),
  updatedReplicas: field(5, int32),
  currentRevision: field(6, string),
  updateRevision: field(7, string),
  collisionCount: field(9, int32, { pointer: true }),
  conditions: field(10, conditionsOf(workloadCondition("StatefulSet"))),
  availableReplicas: field(11, int32),
});
export interface StatefulSetStatus extends ValueOf<typeof statefulSetStatus> {}

export const statefulSet = message(
  `${APPS}.StatefulSet`,
  "Keeps Pods that have names of their own.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, statefulSetSpec, { description: "What should be." }),
    status: field(3, statefulSetStatus, { description: "What is." }),
  },
);
export interface StatefulSet extends ValueOf<typeof statefulSet> {}
