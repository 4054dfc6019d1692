import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, list, message, present } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { RBAC, policyRule } from "./rule.ts";

export const role = message(`${RBAC}.Role`, "What may be done within a namespace.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  rules: field(2, list(policyRule), { description: "Whatever one of these allows." }),
});
export interface Role extends ValueOf<typeof role> {}

const aggregationRule = message(
  `${RBAC}.AggregationRule`,
  "Whose rules a ClusterRole consists of.",
  {
    clusterRoleSelectors: field(1, list(labelSelector), {
      description: "ClusterRoles whose labels one of these selects.",
    }),
  },
);

export const clusterRole = message(
  `${RBAC}.ClusterRole`,
  "What may be done in the whole cluster, or in the namespace of the RoleBinding that refers to it.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    rules: field(2, list(policyRule), { description: "Whatever one of these allows." }),
    aggregationRule: field(3, aggregationRule, {
      description: "When set, a controller overwrites the rules.",
    }),
  },
);
export interface ClusterRole extends ValueOf<typeof clusterRole> {}
