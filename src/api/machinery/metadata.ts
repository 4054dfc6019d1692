import {
  boolean,
  field,
  int64,
  json,
  list,
  map,
  message,
  present,
  string,
  time,
} from "./schema.ts";
import type { ValueOf } from "./schema.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

const ownerReference = message(
  `${META}.OwnerReference`,
  "Names the object that this object belongs to.",
  {
    apiVersion: present(5, string, {
      required: true,
      description: "Group and version of the owner.",
    }),
    kind: present(1, string, { required: true, description: "Kind of the owner." }),
    name: present(3, string, { required: true, description: "Name of the owner." }),
    uid: present(4, string, { required: true, description: "UID of the owner." }),
    controller: field(6, boolean, {
      pointer: true,
      description: "The owner is the one that manages this object.",
    }),
    blockOwnerDeletion: field(7, boolean, {
      pointer: true,
      description: "Foreground deletion of the owner waits for this object.",
    }),
  },
  { atomic: true },
);
export interface OwnerReference extends ValueOf<typeof ownerReference> {}

const managedFieldsEntry = message(
  `${META}.ManagedFieldsEntry`,
  "Which fields one manager set, and when.",
  {
    manager: field(1, string),
    operation: field(2, string),
    apiVersion: field(3, string),
    time: field(4, time),
    fieldsType: field(6, string),
    fieldsV1: field(7, json),
    subresource: field(8, string),
  },
);

export const objectMeta = message(`${META}.ObjectMeta`, "What every object carries.", {
  name: present(1, string, { description: "Unique within the namespace and kind; cannot change." }),
  generateName: field(2, string, {
    description: "Prefix from which the server makes a unique name when name is empty.",
  }),
  namespace: field(3, string, { description: "The namespace that the object is in." }),
  selfLink: field(4, string, { description: "No longer filled in." }),
  uid: field(5, string, { description: "Given by the server; unique in time and space." }),
  resourceVersion: field(6, string, {
    description: "Opaque version of the stored object, for concurrency checks and watches.",
  }),
  generation: field(7, int64, { description: "Counts changes of the desired state." }),
  creationTimestamp: field(8, time, { description: "When the server created the object." }),
  deletionTimestamp: field(9, time, {
    description: "When the object will be deleted, once asked.",
  }),
  deletionGracePeriodSeconds: field(10, int64, {
    pointer: true,
    description: "Seconds granted for a graceful end.",
  }),
  labels: field(11, map(string), { description: "Keys and values by which objects are selected." }),
  annotations: field(12, map(string), {
    description: "Keys and values for tools; not selectable.",
  }),
  ownerReferences: field(
    13,
    list(ownerReference, { listType: "map", mapKeys: ["uid"], mergeKey: "uid" }),
    {
      description: "Objects that this object depends on; gone with the last of them.",
    },
  ),
  finalizers: field(14, list(string, { listType: "set", mergeKey: "" }), {
    description: "Each must be removed before the object is really deleted.",
  }),
  managedFields: field(17, list(managedFieldsEntry), { description: "Who manages which fields." }),
});
export interface ObjectMeta extends ValueOf<typeof objectMeta> {}

/** What every served object has, as it is on the wire. Fields that a reader does not know are kept. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** Every field may be left out, at any depth. */
type Partially<V> = V extends readonly (infer E)[]
  ? readonly Partially<E>[]
  : V extends object
    ? { readonly [K in keyof V]?: Partially<V[K]> | undefined }
    : V;

/** An object on its way to the server, which fills in what is missing and refuses what must not be. */
export type Draft<T extends KubernetesObject> = Partially<Omit<T, "metadata">> & {
  readonly metadata: Partial<ObjectMeta>;
};

/** Two fields that every top-level schema starts with; not part of the protobuf message. */
export const typeFields = {
  apiVersion: present(0, string, { description: "Group and version of this object's schema." }),
  kind: present(0, string, { description: "Kind of this object." }),
} as const;

export const condition = message(`${META}.Condition`, "One aspect of an object's state.", {
  type: present(1, string, { required: true, description: "Name of the aspect, in CamelCase." }),
  status: present(2, string, { required: true, description: "True, False or Unknown." }),
  observedGeneration: field(3, int64, { description: "Generation that this was decided on." }),
  lastTransitionTime: present(4, time, {
    required: true,
    description: "When status last changed.",
  }),
  reason: present(5, string, { required: true, description: "One CamelCase word for programs." }),
  message: present(6, string, { required: true, description: "A sentence for people." }),
});
export interface Condition extends ValueOf<typeof condition> {}

const labelSelectorRequirement = message(
  `${META}.LabelSelectorRequirement`,
  "A test of one label.",
  {
    key: present(1, string, { required: true }),
    operator: present(2, string, {
      required: true,
      description: "In, NotIn, Exists or DoesNotExist.",
    }),
    values: field(3, list(string)),
  },
);

export const labelSelector = message(
  `${META}.LabelSelector`,
  "A query over labels; all its parts must hold. An empty one selects everything.",
  {
    matchLabels: field(1, map(string)),
    matchExpressions: field(2, list(labelSelectorRequirement)),
  },
  { atomic: true },
);
export interface LabelSelector extends ValueOf<typeof labelSelector> {}
