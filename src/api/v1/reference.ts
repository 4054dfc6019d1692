import { field, message, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

export const objectReference = message(
  `${V1}.ObjectReference`,
  "Names an object, or a part of one.",
  {
    kind: field(1, string, { description: "Kind of the object." }),
    namespace: field(2, string, { description: "Namespace of the object." }),
    name: field(3, string, { description: "Name of the object." }),
    uid: field(4, string, { description: "UID of the object." }),
    apiVersion: field(5, string, { description: "Group and version of the object's schema." }),
    resourceVersion: field(6, string, { description: "Version that the reference was made to." }),
    fieldPath: field(7, string, {
      description: "The part meant, e.g. spec.containers{web} for one container of a Pod.",
    }),
  },
  { atomic: true },
);
export interface ObjectReference extends ValueOf<typeof objectReference> {}

/** All of it, in the order in which Events may be selected by it. */
export const OBJECT_REFERENCE_FIELDS = [
  "kind",
  "namespace",
  "name",
  "uid",
  "apiVersion",
  "resourceVersion",
  "fieldPath",
] as const satisfies readonly (keyof ObjectReference)[];

export const localObjectReference = message(
  `${V1}.LocalObjectReference`,
  "Names an object in the same namespace.",
  { name: field(1, string, { description: "Name of the object.", default: "" }) },
  { atomic: true },
);
