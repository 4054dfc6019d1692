import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { boolean, bytes, field, map, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

export const secret = message("io.k8s.api.core.v1.Secret", "Secret data for Pods to read.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  data: field(2, map(bytes), { description: "Bytes by key, in base64." }),
  type: present(3, string, { description: "What the data is for; Opaque by default." }),
  stringData: field(4, map(string), { description: "Texts to be put into data; never read back." }),
  immutable: field(5, boolean, { pointer: true, description: "The data cannot change any more." }),
});
export interface Secret extends ValueOf<typeof secret> {}
