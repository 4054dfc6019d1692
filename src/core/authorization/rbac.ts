import type {
  ClusterRoleBinding,
  RoleBinding,
  RoleRef,
  Subject as Member,
} from "../../api/rbac/binding.ts";
import type { PolicyRule } from "../../api/rbac/rule.ts";
import { accountUserName } from "./attributes.ts";
import type { Attributes, Decision, Subject } from "./attributes.ts";
import { ruleAllows } from "./rules.ts";

type Binding = RoleBinding | ClusterRoleBinding;

/** Roles and bindings, as a cache of them can be asked. */
export interface Policy {
  /** Bindings of the cluster that name the user, one of its groups, or its ServiceAccount. */
  clusterBindings(user: Subject): Iterable<ClusterRoleBinding>;
  /** Likewise those of a namespace. */
  bindings(user: Subject, namespace: string): Iterable<RoleBinding>;
  /** undefined: there is no such role. */
  clusterRole(name: string): readonly PolicyRule[] | undefined;
  role(namespace: string, name: string): readonly PolicyRule[] | undefined;
}

/** Rules that a user has, and how it came by them. */
interface Grant {
  readonly binding: Binding;
  readonly member: Member | undefined;
  /** undefined: the role is not there. */
  readonly rules: readonly PolicyRule[] | undefined;
}

/** Whether roles allow the request; they never deny. Reasons in upstream's words. */
export function authorizeByRoles(policy: Policy, user: Subject, attributes: Attributes): Decision {
  const namespace = attributes.kind === "resource" ? attributes.namespace : "";
  const missing = new Set<string>();
  for (const { binding, member, rules } of grantsOf(policy, user, namespace)) {
    if (rules === undefined) missing.add(missingRole(binding));
    else if (rules.some((rule) => ruleAllows(rule, attributes))) {
      return { kind: "allow", reason: allowedBy(binding, member) };
    }
  }
  return { kind: "no-opinion", reason: missingReason(missing) };
}

export interface RulesOfUser {
  readonly rules: readonly PolicyRule[];
  /** Roles that are bound and not there, in words; "" for none. */
  readonly error: string;
}

/** All rules of a user in a namespace; "" for the cluster alone. */
export function rulesOf(policy: Policy, user: Subject, namespace: string): RulesOfUser {
  const found: PolicyRule[] = [];
  const missing = new Set<string>();
  for (const { binding, rules } of grantsOf(policy, user, namespace)) {
    if (rules === undefined) missing.add(missingRole(binding));
    else found.push(...rules);
  }
  return { rules: found, error: listed(missing) };
}

/** Rules of the role that a binding in this namespace ("" for the cluster) refers to; undefined: not there. */
export function rulesOfRef(
  policy: Policy,
  ref: RoleRef,
  namespace: string,
): readonly PolicyRule[] | undefined {
  return ref.kind === "ClusterRole"
    ? policy.clusterRole(ref.name)
    : policy.role(namespace, ref.name);
}

function* grantsOf(policy: Policy, user: Subject, namespace: string): Iterable<Grant> {
  for (const binding of policy.clusterBindings(user)) {
    yield grantOf(policy, binding, user, "");
  }
  if (namespace === "") return;
  for (const binding of policy.bindings(user, namespace)) {
    yield grantOf(policy, binding, user, namespace);
  }
}

function grantOf(policy: Policy, binding: Binding, user: Subject, namespace: string): Grant {
  return {
    binding,
    member: binding.subjects?.find((member) => isMember(member, user, namespace)),
    rules: rulesOfRef(policy, binding.roleRef, namespace),
  };
}

/** Whether a subject of a binding means this user. A ServiceAccount without a namespace is of the binding's. */
function isMember(member: Member, user: Subject, namespace: string): boolean {
  switch (member.kind) {
    case "User":
      return member.name === user.name;
    case "Group":
      return user.groups.includes(member.name);
    case "ServiceAccount":
      return accountUserName(member.namespace || namespace, member.name) === user.name;
    default:
      return false;
  }
}

function allowedBy({ kind, metadata, roleRef }: Binding, member: Member | undefined): string {
  const { name, namespace = "" } = metadata;
  const what = namespace === "" ? name : `${name}/${namespace}`;
  const quote = (text: string) => JSON.stringify(text);
  const account = member?.kind === "ServiceAccount";
  const who = account ? `${member.name}/${member.namespace || namespace}` : (member?.name ?? "");
  return `RBAC: allowed by ${kind} ${quote(what)} of ${roleRef.kind} ${quote(roleRef.name)} to ${member?.kind ?? ""} ${quote(who)}`;
}

function missingRole({ roleRef }: Binding): string {
  return `${roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(roleRef.name)} not found`;
}

function missingReason(missing: ReadonlySet<string>): string {
  return missing.size === 0 ? "" : `RBAC: ${listed(missing)}`;
}

function listed(texts: ReadonlySet<string>): string {
  return texts.size > 1 ? `[${[...texts].join(", ")}]` : [...texts].join("");
}
