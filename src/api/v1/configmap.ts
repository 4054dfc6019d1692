import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { boolean, bytes, field, map, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

export const configMap = message("io.k8s.api.core.v1.ConfigMap", "Settings for Pods to read.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  data: field(2, map(string), { description: "Texts by key." }),
  binaryData: field(3, map(bytes), {
    description: "Bytes by key, in base64; no key also in data.",
  }),
  immutable: field(4, boolean, { pointer: true, description: "The data cannot change any more." }),
});
export interface ConfigMap extends ValueOf<typeof configMap> {}
