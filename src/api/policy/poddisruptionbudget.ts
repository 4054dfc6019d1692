import { condition, labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  field,
  int32,
  int64,
  intOrString,
  list,
  map,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const POLICY = "io.k8s.api.policy.v1";

const podDisruptionBudgetSpec = message(
  `${POLICY}.PodDisruptionBudgetSpec`,
  "How many Pods may be missing.",
  {
    minAvailable: field(1, intOrString, {
      pointer: true,
      description: "Pods that stay, as a number or as a share of all.",
    }),
    selector: field(2, labelSelector, { description: "Which Pods; all when it is empty." }),
    maxUnavailable: field(3, intOrString, {
      pointer: true,
      description: "Pods that may be missing, as a number or as a share of all.",
    }),
    unhealthyPodEvictionPolicy: field(4, string, { pointer: true }),
  },
);

const podDisruptionBudgetStatus = message(
  `${POLICY}.PodDisruptionBudgetStatus`,
  "How many Pods are missing.",
  {
    observedGeneration: field(1, int64),
    disruptedPods: field(2, map(time), { description: "Evicted, and not yet seen to go." }),
    disruptionsAllowed: present(3, int32, { required: true }),
    currentHealthy: present(4, int32, { required: true }),
    desiredHealthy: present(5, int32, { required: true }),
    expectedPods: present(6, int32, { required: true }),
    conditions: field(7, list(condition, { listType: "map", mapKeys: ["type"], mergeKey: "type" })),
  },
);
export interface PodDisruptionBudgetStatus extends ValueOf<typeof podDisruptionBudgetStatus> {}

export const podDisruptionBudget = message(
  `${POLICY}.PodDisruptionBudget`,
  "Bounds how many Pods of an application evictions take away.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, podDisruptionBudgetSpec, { description: "What may be missing." }),
    status: field(3, podDisruptionBudgetStatus, { description: "What is missing." }),
  },
);
export interface PodDisruptionBudget extends ValueOf<typeof podDisruptionBudget> {}
