import { objectMeta } from "../machinery/metadata.ts";
import { field, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { podSpec } from "./pod.ts";

export const podTemplateSpec = message(
  "io.k8s.api.core.v1.PodTemplateSpec",
  "What the Pods of a workload are made from.",
  {
    metadata: field(1, objectMeta, { description: "Labels and annotations of the Pods." }),
    spec: present(2, podSpec, { description: "What each Pod should be." }),
  },
);
export interface PodTemplateSpec extends ValueOf<typeof podTemplateSpec> {}
