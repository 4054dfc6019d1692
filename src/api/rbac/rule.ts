import { field, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

export const RBAC_GROUP = "rbac.authorization.k8s.io";
export const RBAC = "io.k8s.api.rbac.v1";

export const policyRule = message(`${RBAC}.PolicyRule`, "Verbs that are allowed on some things.", {
  verbs: present(1, list(string), {
    required: true,
    description: "What may be done; * is everything.",
  }),
  apiGroups: field(2, list(string), {
    description: 'Groups of the resources; "" is the core group, * every group.',
  }),
  resources: field(3, list(string), {
    description: "Resources, or RESOURCE/SUBRESOURCE; * is every resource.",
  }),
  resourceNames: field(4, list(string), {
    description: "Only objects of these names; empty allows all.",
  }),
  nonResourceURLs: field(5, list(string), {
    description: "Paths that are no resources; a trailing * matches any ending.",
  }),
});
export interface PolicyRule extends ValueOf<typeof policyRule> {}
