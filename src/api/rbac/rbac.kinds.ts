import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { Column, KindDefinition } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { nameCheck, pathSegmentProblems } from "../machinery/name-formats.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { clusterRoleBinding, roleBinding } from "./binding.ts";
import type { ClusterRoleBinding, RoleBinding, Subject } from "./binding.ts";
import {
  defaultBinding,
  validateClusterRoleBinding,
  validateRoleBinding,
  validateSameRole,
} from "./binding.validation.ts";
import { clusterRole, role } from "./role.ts";
import type { ClusterRole, Role } from "./role.ts";
import { validateClusterRole, validateRole } from "./role.validation.ts";
import { RBAC_GROUP } from "./rule.ts";

const COMMON = {
  group: RBAC_GROUP,
  version: "v1",
  shortNames: [],
  categories: [],
  selectableFields: [],
} as const;

const STRATEGY = {
  ...PLAIN_STRATEGY,
  // Names such as system:node are usual here.
  nameProblems: nameCheck(pathSegmentProblems),
  createOnUpdate: true,
} as const;

const CREATED_COLUMN: Column<KubernetesObject> = {
  name: "Created At",
  type: "date",
  description: "When it was created.",
  priority: 0,
  cell: ({ metadata }) => metadata.creationTimestamp ?? "<unknown>",
};

const BINDING_COLUMNS: readonly Column<RoleBinding | ClusterRoleBinding>[] = [
  NAME_COLUMN,
  {
    name: "Role",
    type: "string",
    description: "The role that is given.",
    priority: 0,
    cell: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`,
  },
  AGE_COLUMN,
  subjectColumn("Users", "User", ({ name }) => name),
  subjectColumn("Groups", "Group", ({ name }) => name),
  subjectColumn("ServiceAccounts", "ServiceAccount", ({ namespace = "", name }) =>
    [namespace, name].join("/"),
  ),
];

function subjectColumn(
  name: string,
  kind: string,
  text: (subject: Subject) => string,
): Column<RoleBinding | ClusterRoleBinding> {
  return {
    name,
    type: "string",
    description: `Subjects of kind ${kind}.`,
    priority: 1,
    cell: ({ subjects = [] }) =>
      subjects
        .filter((subject) => subject.kind === kind)
        .map(text)
        .join(", "),
  };
}

export const roleKind: KindDefinition<Role> = {
  ...COMMON,
  kind: "Role",
  plural: "roles",
  singular: "role",
  namespaced: true,
  schema: role,
  columns: [NAME_COLUMN, CREATED_COLUMN],
  strategy: {
    ...STRATEGY,
    defaults: (object) => withZeroValues(role, object),
    validateCreate: validateRole,
    validateUpdate: validateRole,
  },
};

export const clusterRoleKind: KindDefinition<ClusterRole> = {
  ...COMMON,
  kind: "ClusterRole",
  plural: "clusterroles",
  singular: "clusterrole",
  namespaced: false,
  schema: clusterRole,
  columns: [NAME_COLUMN, CREATED_COLUMN],
  strategy: {
    ...STRATEGY,
    defaults: (object) => withZeroValues(clusterRole, object),
    validateCreate: validateClusterRole,
    validateUpdate: validateClusterRole,
  },
};

export const roleBindingKind: KindDefinition<RoleBinding> = {
  ...COMMON,
  kind: "RoleBinding",
  plural: "rolebindings",
  singular: "rolebinding",
  namespaced: true,
  schema: roleBinding,
  columns: BINDING_COLUMNS,
  strategy: {
    ...STRATEGY,
    defaults: (object) => defaultBinding(withZeroValues(roleBinding, object)),
    validateCreate: validateRoleBinding,
    validateUpdate: (object, old) => [
      ...validateRoleBinding(object),
      ...validateSameRole(object, old),
    ],
  },
};

export const clusterRoleBindingKind: KindDefinition<ClusterRoleBinding> = {
  ...COMMON,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  singular: "clusterrolebinding",
  namespaced: false,
  schema: clusterRoleBinding,
  columns: BINDING_COLUMNS,
  strategy: {
    ...STRATEGY,
    defaults: (object) => defaultBinding(withZeroValues(clusterRoleBinding, object)),
    validateCreate: validateClusterRoleBinding,
    validateUpdate: (object, old) => [
      ...validateClusterRoleBinding(object),
      ...validateSameRole(object, old),
    ],
  },
};
