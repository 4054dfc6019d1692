import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectReference } from "./reference.ts";

/** The body of `pods/NAME/binding`. */
export const binding = message("io.k8s.api.core.v1.Binding", "Puts a Pod on a node.", {
  ...typeFields,
  metadata: present(1, objectMeta),
  target: present(2, objectReference, { required: true, description: "The node." }),
});
export interface Binding extends ValueOf<typeof binding> {}
