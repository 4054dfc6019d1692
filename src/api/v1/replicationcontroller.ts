import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  field,
  int32,
  int64,
  list,
  map,
  message,
  present,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podTemplateSpec } from "./pod-template.ts";

const V1 = "io.k8s.api.core.v1";

const replicationControllerSpec = message(
  `${V1}.ReplicationControllerSpec`,
  "How many Pods there should be, and of what.",
  {
    replicas: field(1, int32, { pointer: true, default: 1, description: "Pods wanted." }),
    minReadySeconds: field(4, int32, {
      description: "Seconds that a Pod must be ready before it counts as available.",
    }),
    selector: field(2, map(string, "atomic"), { description: "Labels of the Pods counted." }),
    template: field(3, podTemplateSpec, { description: "What Pods are made from." }),
  },
);

const replicationControllerCondition = message(
  `${V1}.ReplicationControllerCondition`,
  "One aspect of the state.",
  {
    type: present(1, string, { required: true }),
    status: present(2, string, { required: true }),
    lastTransitionTime: field(3, time),
    reason: field(4, string),
    message: field(5, string),
  },
);

const replicationControllerStatus = message(
  `${V1}.ReplicationControllerStatus`,
  "How many Pods there are.",
  {
    replicas: present(1, int32, { required: true }),
    fullyLabeledReplicas: field(2, int32),
    readyReplicas: field(4, int32),
    availableReplicas: field(5, int32),
    observedGeneration: field(3, int64),
    conditions: field(
      6,
      list(replicationControllerCondition, {
        listType: "map",
        mapKeys: ["type"],
        mergeKey: "type",
      }),
    ),
  },
);

export const replicationController = message(
  `${V1}.ReplicationController`,
  "Keeps a number of Pods; the forerunner of the ReplicaSet.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, replicationControllerSpec, { description: "What should be." }),
    status: field(3, replicationControllerStatus, { description: "What is." }),
  },
);
export interface ReplicationController extends ValueOf<typeof replicationController> {}
