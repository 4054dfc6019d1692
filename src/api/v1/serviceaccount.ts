import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { boolean, field, list, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { localObjectReference, objectReference } from "./reference.ts";

export const serviceAccount = message(
  "io.k8s.api.core.v1.ServiceAccount",
  "An identity for processes in Pods.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    secrets: field(
      2,
      list(objectReference, { listType: "map", mapKeys: ["name"], mergeKey: "name" }),
      { description: "Secrets that its Pods may use." },
    ),
    imagePullSecrets: field(3, list(localObjectReference), {
      description: "Secrets for pulling images.",
    }),
    automountServiceAccountToken: field(4, boolean, {
      pointer: true,
      description: "Whether Pods get the account's token.",
    }),
  },
);
export interface ServiceAccount extends ValueOf<typeof serviceAccount> {}
