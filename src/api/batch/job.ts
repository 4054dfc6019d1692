import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  int64,
  list,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podTemplateSpec } from "../v1/pod-template.ts";

const BATCH = "io.k8s.api.batch.v1";

const onExitCodes = message(`${BATCH}.PodFailurePolicyOnExitCodesRequirement`, "Exit codes.", {
  containerName: field(1, string, { pointer: true }),
  operator: present(2, string, { required: true }),
  values: field(3, list(int32, { listType: "set" }), { required: true }),
});

const onPodConditions = message(`${BATCH}.PodFailurePolicyOnPodConditionsPattern`, "A condition.", {
  type: present(1, string, { required: true }),
  status: field(2, string),
});

const podFailurePolicyRule = message(`${BATCH}.PodFailurePolicyRule`, "What a failure means.", {
  action: present(1, string, { required: true }),
  onExitCodes: field(2, onExitCodes),
  onPodConditions: field(3, list(onPodConditions)),
});

const podFailurePolicy = message(`${BATCH}.PodFailurePolicy`, "What failures mean.", {
  rules: field(1, list(podFailurePolicyRule), { required: true }),
});

const successPolicyRule = message(`${BATCH}.SuccessPolicyRule`, "What suffices.", {
  succeededIndexes: field(1, string, { pointer: true }),
  succeededCount: field(2, int32, { pointer: true }),
});

const successPolicy = message(`${BATCH}.SuccessPolicy`, "When a Job has succeeded early.", {
  rules: field(1, list(successPolicyRule), { required: true }),
});

export const jobSpec = message(`${BATCH}.JobSpec`, "What a Job should be.", {
  parallelism: field(1, int32, { pointer: true, description: "Pods at once. Default 1." }),
  completions: field(2, int32, { pointer: true, description: "Successful Pods wanted." }),
  activeDeadlineSeconds: field(3, int64, { pointer: true }),
  podFailurePolicy: field(11, podFailurePolicy),
  successPolicy: field(16, successPolicy),
  backoffLimit: field(7, int32, { pointer: true, description: "Failed Pods allowed. Default 6." }),
  backoffLimitPerIndex: field(12, int32, { pointer: true }),
  maxFailedIndexes: field(13, int32, { pointer: true }),
  selector: field(4, labelSelector),
  manualSelector: field(5, boolean, { pointer: true }),
  template: present(6, podTemplateSpec, {
    required: true,
    description: "What Pods are made from.",
  }),
  ttlSecondsAfterFinished: field(8, int32, { pointer: true }),
  completionMode: field(9, string, { pointer: true }),
  suspend: field(10, boolean, { pointer: true }),
  podReplacementPolicy: field(14, string, { pointer: true }),
  managedBy: field(15, string, { pointer: true }),
});

const jobCondition = message(`${BATCH}.JobCondition`, "One aspect of the state.", {
  type: present(1, string, { required: true }),
  status: present(2, string, { required: true }),
  lastProbeTime: field(3, time),
  lastTransitionTime: field(4, time),
  reason: field(5, string),
  message: field(6, string),
});
export interface JobCondition extends ValueOf<typeof jobCondition> {}

const uncountedTerminatedPods = message(`${BATCH}.UncountedTerminatedPods`, "Not yet counted.", {
  succeeded: field(1, list(string, { listType: "set" })),
  failed: field(2, list(string, { listType: "set" })),
});

const jobStatus = message(`${BATCH}.JobStatus`, "What a Job is.", {
  conditions: field(1, list(jobCondition, { mergeKey: "type" })),
  startTime: field(2, time),
  completionTime: field(3, time),
  active: field(4, int32),
  succeeded: field(5, int32),
  failed: field(6, int32),
  terminating: field(11, int32, { pointer: true }),
  completedIndexes: field(7, string),
  failedIndexes: field(10, string, { pointer: true }),
  uncountedTerminatedPods: field(8, uncountedTerminatedPods),
  ready: field(9, int32, { pointer: true }),
});
export interface JobStatus extends ValueOf<typeof jobStatus> {}

export const job = message(`${BATCH}.Job`, "Runs Pods until enough have succeeded.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, jobSpec, { description: "What should be." }),
  status: field(3, jobStatus, { description: "What is." }),
});
export interface Job extends ValueOf<typeof job> {}
