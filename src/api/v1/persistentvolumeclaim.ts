import { labelSelector, objectMeta } from "../machinery/metadata.ts";
import { field, list, map, message, present, quantity, string, time } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const volumeResourceRequirements = message(`${V1}.VolumeResourceRequirements`, "How much.", {
  limits: field(1, map(quantity)),
  requests: field(2, map(quantity)),
});

const typedLocalObjectReference = message(
  `${V1}.TypedLocalObjectReference`,
  "An object of this namespace.",
  {
    apiGroup: field(1, string, { pointer: true }),
    kind: present(2, string, { required: true }),
    name: present(3, string, { required: true }),
  },
  { atomic: true },
);

const typedObjectReference = message(`${V1}.TypedObjectReference`, "An object.", {
  apiGroup: field(1, string, { pointer: true }),
  kind: present(2, string, { required: true }),
  name: present(3, string, { required: true }),
  namespace: field(4, string, { pointer: true }),
});

const persistentVolumeClaimSpec = message(`${V1}.PersistentVolumeClaimSpec`, "What is claimed.", {
  accessModes: field(1, list(string)),
  selector: field(4, labelSelector),
  resources: field(2, volumeResourceRequirements),
  volumeName: field(3, string),
  storageClassName: field(5, string, { pointer: true }),
  volumeMode: field(6, string, { pointer: true }),
  dataSource: field(7, typedLocalObjectReference),
  dataSourceRef: field(8, typedObjectReference),
  volumeAttributesClassName: field(9, string, { pointer: true }),
});

const persistentVolumeClaimCondition = message(
  `${V1}.PersistentVolumeClaimCondition`,
  "One aspect of the state.",
  {
    type: present(1, string, { required: true }),
    status: present(2, string, { required: true }),
    lastProbeTime: field(3, time),
    lastTransitionTime: field(4, time),
    reason: field(5, string),
    message: field(6, string),
  },
);

const modifyVolumeStatus = message(`${V1}.ModifyVolumeStatus`, "A change under way.", {
  targetVolumeAttributesClassName: field(1, string),
  status: present(2, string, { required: true }),
});

const persistentVolumeClaimStatus = message(`${V1}.PersistentVolumeClaimStatus`, "What is.", {
  phase: field(1, string),
  accessModes: field(2, list(string)),
  capacity: field(3, map(quantity)),
  conditions: field(
    4,
    list(persistentVolumeClaimCondition, {
      listType: "map",
      mapKeys: ["type"],
      mergeKey: "type",
    }),
  ),
  allocatedResources: field(5, map(quantity)),
  allocatedResourceStatuses: field(7, map(string)),
  currentVolumeAttributesClassName: field(8, string, { pointer: true }),
  modifyVolumeStatus: field(9, modifyVolumeStatus),
});

/** Only as a part of StatefulSets: the kind itself is not served. */
export const persistentVolumeClaim = message(
  `${V1}.PersistentVolumeClaim`,
  "A claim to a volume that outlives Pods.",
  {
    apiVersion: field(0, string),
    kind: field(0, string),
    metadata: field(1, objectMeta),
    spec: field(2, persistentVolumeClaimSpec),
    status: field(3, persistentVolumeClaimStatus),
  },
);
