import { dnsSubdomainProblems } from "../../net/names.ts";
import { invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual } from "../machinery/json.ts";
import { pathSegmentProblems } from "../machinery/name-formats.ts";
import type { ClusterRoleBinding, RoleBinding, RoleRef, Subject } from "./binding.ts";
import { RBAC_GROUP } from "./rule.ts";

type Binding = RoleBinding | ClusterRoleBinding;

/** The group that a subject of its kind has when it names none; likewise the role. */
export function defaultBinding<T extends Binding>(object: T): T {
  const { roleRef, subjects } = object;
  return {
    ...object,
    roleRef: { ...roleRef, apiGroup: roleRef.apiGroup || RBAC_GROUP },
    ...(subjects === undefined ? {} : { subjects: subjects.map(defaultSubject) }),
  };
}

function defaultSubject(subject: Subject): Subject {
  const isOurs = subject.kind === "User" || subject.kind === "Group";
  return isOurs && !subject.apiGroup ? { ...subject, apiGroup: RBAC_GROUP } : subject;
}

export function validateRoleBinding({ roleRef, subjects = [] }: RoleBinding) {
  return [
    ...validateRoleRef(roleRef, ["Role", "ClusterRole"]),
    ...subjects.flatMap((subject, i) => validateSubject(subject, `subjects[${String(i)}]`)),
  ];
}

export function validateClusterRoleBinding({ roleRef, subjects = [] }: ClusterRoleBinding) {
  return [
    ...validateRoleRef(roleRef, ["ClusterRole"]),
    ...subjects.flatMap((subject, i) => validateSubject(subject, `subjects[${String(i)}]`)),
  ];
}

/** Who may edit a binding's subjects must not be able to give them another role. */
export function validateSameRole(object: Binding, old: Binding): readonly FieldError[] {
  return deepEqual(object.roleRef, old.roleRef)
    ? []
    : [invalid("roleRef", object.roleRef, "cannot change roleRef")];
}

function validateRoleRef(ref: RoleRef, kinds: readonly string[]): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (ref.apiGroup !== RBAC_GROUP) {
    errors.push(notSupported("roleRef.apiGroup", ref.apiGroup, [RBAC_GROUP]));
  }
  if (!kinds.includes(ref.kind)) errors.push(notSupported("roleRef.kind", ref.kind, kinds));
  if (ref.name === "") return [...errors, required("roleRef.name")];
  return [
    ...errors,
    ...pathSegmentProblems(ref.name).map((why) => invalid("roleRef.name", ref.name, why)),
  ];
}

function validateSubject(subject: Subject, path: string): readonly FieldError[] {
  const { kind, name, namespace = "", apiGroup = "" } = subject;
  const errors: FieldError[] = name === "" ? [required(`${path}.name`)] : [];
  switch (kind) {
    case "ServiceAccount":
      if (name !== "") {
        errors.push(...dnsSubdomainProblems(name).map((why) => invalid(`${path}.name`, name, why)));
      }
      if (apiGroup !== "") errors.push(notSupported(`${path}.apiGroup`, apiGroup, [""]));
      if (namespace === "") errors.push(required(`${path}.namespace`));
      return errors;
    case "User":
    case "Group":
      if (apiGroup !== RBAC_GROUP) {
        errors.push(notSupported(`${path}.apiGroup`, apiGroup, [RBAC_GROUP]));
      }
      return errors;
    default:
      return [...errors, notSupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"])];
  }
}
