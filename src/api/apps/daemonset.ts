import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, int64, intOrString, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podTemplateSpec } from "../v1/pod-template.ts";
import { conditionsOf, workloadCondition } from "./condition.ts";

const APPS = "io.k8s.api.apps.v1";

const rollingUpdateDaemonSet = message(`${APPS}.RollingUpdateDaemonSet`, "Pace of an update.", {
  maxUnavailable: field(1, intOrString, { pointer: true }),
  maxSurge: field(2, intOrString, { pointer: true }),
});

const daemonSetUpdateStrategy = message(
  `${APPS}.DaemonSetUpdateStrategy`,
  "How Pods are replaced.",
  {
    type: field(1, string, { enum: ["OnDelete", "RollingUpdate"] }),
    rollingUpdate: field(2, rollingUpdateDaemonSet),
  },
);

const daemonSetSpec = message(`${APPS}.DaemonSetSpec`, "What a DaemonSet should be.", {
  selector: field(1, labelSelector, { required: true, description: "Labels of the Pods." }),
  template: present(2, podTemplateSpec, {
    required: true,
    description: "What Pods are made from.",
  }),
  updateStrategy: field(3, daemonSetUpdateStrategy),
  minReadySeconds: field(4, int32),
  revisionHistoryLimit: field(6, int32, { pointer: true }),
});

const daemonSetStatus = message(`${APPS}.DaemonSetStatus`, "On which nodes Pods are.", {
  currentNumberScheduled: present(1, int32, { required: true }),
  numberMisscheduled: present(2, int32, { required: true }),
  desiredNumberScheduled: present(3, int32, { required: true }),
  numberReady: present(4, int32, { required: true }),
  observedGeneration: field(5, int64),
  updatedNumberScheduled: field(6, int32),
  numberAvailable: field(7, int32),
  numberUnavailable: field(8, int32),
  collisionCount: field(9, int32, { pointer: true }),
  conditions: field(10, conditionsOf(workloadCondition("DaemonSet"))),
});
export interface DaemonSetStatus extends ValueOf<typeof daemonSetStatus> {}

export const daemonSet = message(`${APPS}.DaemonSet`, "Keeps one Pod on each node.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, daemonSetSpec, { description: "What should be." }),
  status: field(3, daemonSetStatus, { description: "What is." }),
});
export interface DaemonSet extends ValueOf<typeof daemonSet> {}
