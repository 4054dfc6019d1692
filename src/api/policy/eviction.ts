import { deleteOptions } from "../machinery/delete-options.ts";
import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

/** The body of `pods/NAME/eviction`. */
export const eviction = message("io.k8s.api.policy.v1.Eviction", "Asks a Pod to leave its node.", {
  ...typeFields,
  metadata: present(1, objectMeta),
  deleteOptions: field(2, deleteOptions),
});
export interface Eviction extends ValueOf<typeof eviction> {}
