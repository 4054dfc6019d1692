import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { RBAC } from "./rule.ts";

const subject = message(
  `${RBAC}.Subject`,
  "Who gets the role.",
  {
    kind: present(1, string, { required: true, description: "User, Group or ServiceAccount." }),
    apiGroup: field(2, string, {
      description: '"" for a ServiceAccount, otherwise rbac.authorization.k8s.io.',
    }),
    name: present(3, string, {
      required: true,
      description: "Name of the user, group or account.",
    }),
    namespace: field(4, string, { description: "Namespace of the ServiceAccount." }),
  },
  { atomic: true },
);
export interface Subject extends ValueOf<typeof subject> {}

const roleRef = message(
  `${RBAC}.RoleRef`,
  "The role that is given.",
  {
    apiGroup: present(1, string, { required: true, description: "rbac.authorization.k8s.io." }),
    kind: present(2, string, { required: true, description: "Role or ClusterRole." }),
    name: present(3, string, { required: true, description: "Name of the role." }),
  },
  { atomic: true },
);
export interface RoleRef extends ValueOf<typeof roleRef> {}

const SUBJECTS = { description: "Who gets the role." };
const ROLE_REF = { required: true, description: "The role; cannot be changed." };

export const roleBinding = message(
  `${RBAC}.RoleBinding`,
  "Gives a role to subjects, within a namespace.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    subjects: field(2, list(subject), SUBJECTS),
    roleRef: present(3, roleRef, ROLE_REF),
  },
);
export interface RoleBinding extends ValueOf<typeof roleBinding> {}

export const clusterRoleBinding = message(
  `${RBAC}.ClusterRoleBinding`,
  "Gives a ClusterRole to subjects, in the whole cluster.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    subjects: field(2, list(subject), SUBJECTS),
    roleRef: present(3, roleRef, ROLE_REF),
  },
);
export interface ClusterRoleBinding extends ValueOf<typeof clusterRoleBinding> {}
