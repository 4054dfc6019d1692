import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, list, message, present, string, stringOf, time } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const NAMESPACE_PHASES = ["Active", "Terminating"] as const;

const namespaceSpec = message(`${V1}.NamespaceSpec`, "What a Namespace should be.", {
  finalizers: field(1, list(string), {
    description: "Each must be removed before the Namespace is really deleted.",
  }),
});

const namespaceCondition = message(
  `${V1}.NamespaceCondition`,
  "One aspect of a Namespace's state.",
  {
    type: present(1, string, { required: true }),
    status: present(2, string, { required: true }),
    lastTransitionTime: field(4, time),
    reason: field(5, string),
    message: field(6, string),
  },
);

const namespaceStatus = message(`${V1}.NamespaceStatus`, "What a Namespace is now.", {
  phase: field(1, stringOf(NAMESPACE_PHASES), {
    description: "Active, or Terminating once it was asked to be deleted.",
    enum: NAMESPACE_PHASES,
  }),
  conditions: field(
    2,
    list(namespaceCondition, { listType: "map", mapKeys: ["type"], mergeKey: "type" }),
    { description: "What stands in the way of its deletion." },
  ),
});

export const namespace = message(`${V1}.Namespace`, "A scope for names.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, namespaceSpec, { description: "What the Namespace should be." }),
  status: field(3, namespaceStatus, { description: "What the Namespace is." }),
});
export interface Namespace extends ValueOf<typeof namespace> {}
