import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const AUTOSCALING = "io.k8s.api.autoscaling.v1";

/** What `/scale` of any kind reads and writes. */
export const scale = message(`${AUTOSCALING}.Scale`, "How many replicas, wanted and actual.", {
  ...typeFields,
  metadata: present(1, objectMeta),
  spec: field(
    2,
    message(`${AUTOSCALING}.ScaleSpec`, "What is wanted.", {
      replicas: field(1, int32, { pointer: true, description: "How many are wanted." }),
    }),
  ),
  status: field(
    3,
    message(`${AUTOSCALING}.ScaleStatus`, "What is.", {
      replicas: present(1, int32, { required: true, description: "How many there are." }),
      selector: field(2, string, { description: "Selects the Pods, as text." }),
    }),
  ),
});
export interface Scale extends ValueOf<typeof scale> {}
