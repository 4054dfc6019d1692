import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { deepEqual } from "../api/machinery/json.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ClusterRoleBinding, RoleBinding } from "../api/rbac/binding.ts";
import type { ClusterRole, Role } from "../api/rbac/role.ts";
import type { PolicyRule } from "../api/rbac/rule.ts";
import { resourceAttributes } from "../core/authorization/attributes.ts";
import { nodeNameOf } from "../core/authorization/node.ts";
import { nodeWriteProblem } from "../core/authorization/node-restriction.ts";
import { rulesOf, rulesOfRef } from "../core/authorization/rbac.ts";
import { formatRule, uncovered } from "../core/authorization/rules.ts";
import { RBAC_RESOURCES } from "./authorizer.ts";
import type { Authorizer } from "./authorizer.ts";
import type { User } from "./exchange.ts";
import { forbidden, forbiddenRequest, notFound } from "./failures.ts";
import { isMaster } from "./impersonation.ts";

/** Upstream's names of what an aggregated role may become: everything. */
const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];
/** Rules that a refusal lists; a role of thousands makes no readable message. */
const MAX_LISTED = 50;

/**
 * Whether a user may write an object with this content, beyond the permission to write it at all: nobody
 * gives permissions that they do not have, and a node writes nothing of another's.
 * @throws StatusError 403, or 404 for a binding to a role that is not there.
 */
export function checkContent(
  authorizer: Authorizer,
  kind: KindDefinition,
  user: User,
  object: KubernetesObject,
  old: KubernetesObject | undefined,
): void {
  if (isMaster(user)) return;
  const resource = resourceNameOf(kind);
  const node = nodeNameOf(user);
  const problem = node === undefined ? undefined : nodeWriteProblem(node, resource, object, old);
  if (problem !== undefined) throw forbidden(kind, object.metadata.name, problem);
  switch (resource) {
    case RBAC_RESOURCES.role:
    case RBAC_RESOURCES.clusterRole:
      // The resource says that it is a role.
      checkRole(authorizer, kind, user, object as ClusterRole, old as ClusterRole | undefined);
      return;
    case RBAC_RESOURCES.binding:
    case RBAC_RESOURCES.clusterBinding:
      checkBinding(authorizer, kind, user, object as RoleBinding, old as RoleBinding | undefined);
      return;
  }
}

function checkRole(
  authorizer: Authorizer,
  kind: KindDefinition,
  user: User,
  role: Role & Pick<ClusterRole, "aggregationRule">,
  old: ClusterRole | undefined,
): void {
  const isSame =
    deepEqual(role.rules ?? [], old?.rules ?? []) &&
    deepEqual(role.aggregationRule ?? {}, old?.aggregationRule ?? {});
  if (old !== undefined && isSame) return;
  const { name, namespace = "" } = role.metadata;
  const { group, plural } = kind;
  const escalate = { verb: "escalate", group, resource: plural, name, namespace };
  if (authorizer.decide(user, resourceAttributes(escalate)).kind === "allow") return;
  const wanted = [...(role.rules ?? []), ...(role.aggregationRule ? EVERYTHING : [])];
  checkHeld(authorizer, kind, user, wanted, role.metadata);
}

function checkBinding(
  authorizer: Authorizer,
  kind: KindDefinition,
  user: User,
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding | undefined,
): void {
  const isSame =
    deepEqual(binding.subjects ?? [], old?.subjects ?? []) &&
    deepEqual(binding.roleRef, old?.roleRef);
  if (old !== undefined && isSame) return;
  const { roleRef, metadata } = binding;
  const { namespace = "" } = metadata;
  const plural = roleRef.kind === "ClusterRole" ? "clusterroles" : "roles";
  const { group } = kind;
  const bind = { verb: "bind", group, resource: plural, name: roleRef.name, namespace };
  if (authorizer.decide(user, resourceAttributes(bind)).kind === "allow") return;
  const wanted = rulesOfRef(authorizer.policy, roleRef, namespace);
  if (wanted === undefined) throw notFound({ ...kind, plural }, roleRef.name);
  checkHeld(authorizer, kind, user, wanted, metadata);
}

/** Source: upstream `pkg/registry/rbac/validation:ConfirmNoEscalation`. */
function checkHeld(
  { policy }: Authorizer,
  kind: KindDefinition,
  user: User,
  wanted: readonly PolicyRule[],
  { name, namespace = "" }: KubernetesObject["metadata"],
): void {
  const { rules, error } = rulesOf(policy, user, namespace);
  const missing = uncovered(rules, wanted);
  if (missing.length === 0) return;
  const texts = missing.slice(0, MAX_LISTED).map(formatRule).toSorted();
  const groups = user.groups.map((one) => JSON.stringify(one)).join(" ");
  const why = [
    `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:`,
    ...texts,
    ...(missing.length > MAX_LISTED ? [`and ${String(missing.length - MAX_LISTED)} more`] : []),
  ].join("\n");
  const resolution = error === "" ? "" : `; resolution errors: ${error}`;
  throw forbiddenRequest({ ...kind, name }, why + resolution);
}
