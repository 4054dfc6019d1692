import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int64, json, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

export const controllerRevision = message(
  "io.k8s.api.apps.v1.ControllerRevision",
  "A former state of a StatefulSet or DaemonSet, for undo.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    data: field(2, json, { description: "The state, as a patch." }),
    revision: present(3, int64, { required: true, description: "Grows with each new state." }),
  },
);
export interface ControllerRevision extends ValueOf<typeof controllerRevision> {}
