import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { StatusError } from "../api/machinery/status.ts";
import type { ClusterRoleBinding, RoleBinding } from "../api/rbac/binding.ts";
import type { ClusterRole, Role } from "../api/rbac/role.ts";
import type { Pod } from "../api/v1/pod.ts";
import { MASTERS_GROUP, describeDenial } from "../core/authorization/attributes.ts";
import type { Attributes, Decision, Subject } from "../core/authorization/attributes.ts";
import { authorizeNode } from "../core/authorization/node.ts";
import type { NodeFacts } from "../core/authorization/node.ts";
import { PolicyIndex } from "../core/authorization/policy-index.ts";
import { authorizeByRoles } from "../core/authorization/rbac.ts";
import type { Policy } from "../core/authorization/rbac.ts";
import { forbiddenRequest } from "./failures.ts";
import type { KindCache } from "./kind-cache.ts";
import type { WatchCache } from "./watch-cache.ts";

export const RBAC_RESOURCES = {
  role: "roles.rbac.authorization.k8s.io",
  clusterRole: "clusterroles.rbac.authorization.k8s.io",
  binding: "rolebindings.rbac.authorization.k8s.io",
  clusterBinding: "clusterrolebindings.rbac.authorization.k8s.io",
} as const;

/** Says who may do what: first the administrators' group, then nodes, then roles. Decides from caches alone. */
export interface Authorizer {
  readonly policy: Policy;
  decide(user: Subject, attributes: Attributes): Decision;
  /** @throws StatusError 403 unless it is allowed. */
  check(user: Subject, attributes: Attributes): void;
}

const BY_GROUP: Decision = { kind: "allow", reason: "" };

/** @param kinds by resource name; without the RBAC kinds only administrators and nodes may do anything. */
export function createAuthorizer(
  cache: WatchCache,
  kinds: ReadonlyMap<string, KindDefinition>,
): Authorizer {
  const policy = followPolicy(cache, kinds);
  const facts = nodeFacts(cache, kinds);
  const decide = (user: Subject, attributes: Attributes): Decision => {
    if (user.groups.includes(MASTERS_GROUP)) return BY_GROUP;
    const byNode = authorizeNode(facts, user, attributes);
    if (byNode.kind !== "no-opinion") return byNode;
    const byRoles = authorizeByRoles(policy, user, attributes);
    if (byRoles.kind !== "no-opinion") return byRoles;
    const reason = [byNode.reason, byRoles.reason].filter((text) => text !== "").join(", ");
    return { kind: "no-opinion", reason };
  };
  return {
    policy,
    decide,
    check(user, attributes) {
      const { kind, reason } = decide(user, attributes);
      if (kind !== "allow") throw denied(user, attributes, reason);
    },
  };
}

/** 403 in upstream's words. */
export function denied(user: Subject, attributes: Attributes, reason: string): StatusError {
  const denial = describeDenial(user, attributes);
  const named =
    attributes.kind === "path"
      ? undefined
      : { group: attributes.group, plural: attributes.resource, name: attributes.name };
  return forbiddenRequest(named, reason === "" ? denial : `${denial}: ${reason}`);
}

/** An index of roles and bindings that follows their caches. */
function followPolicy(cache: WatchCache, kinds: ReadonlyMap<string, KindDefinition>): Policy {
  const index = new PolicyIndex();
  const follow = <T extends KubernetesObject>(
    resource: string,
    change: (before: T | undefined, after: T | undefined) => void,
  ) => {
    const kind = kinds.get(resource);
    if (kind === undefined) return;
    const kindCache = cache.of(kind);
    // The kind of a cache is the kind of its objects.
    for (const { object } of kindCache.range("")) change(undefined, object as T);
    kindCache.observe(({ before, after }) => {
      change(before?.object as T | undefined, after?.object as T | undefined);
    });
  };
  const changeRole = (
    before: Role | ClusterRole | undefined,
    after: Role | ClusterRole | undefined,
  ) => {
    const metadata = (after ?? before)?.metadata;
    if (metadata === undefined) return;
    index.setRole(metadata.namespace ?? "", metadata.name, after && (after.rules ?? []));
  };
  follow<Role>(RBAC_RESOURCES.role, changeRole);
  follow<ClusterRole>(RBAC_RESOURCES.clusterRole, changeRole);
  const changeBinding = index.changeBinding.bind(index);
  follow<RoleBinding>(RBAC_RESOURCES.binding, changeBinding);
  follow<ClusterRoleBinding>(RBAC_RESOURCES.clusterBinding, changeBinding);
  return index;
}

function nodeFacts(cache: WatchCache, kinds: ReadonlyMap<string, KindDefinition>): NodeFacts {
  const podKind = kinds.get("pods");
  const pods: KindCache | undefined = podKind && cache.of(podKind);
  return {
    // The cache of pods holds Pods.
    pod: (namespace, name) => pods?.get(objectKey({ namespace, name }))?.object as Pod | undefined,
    *pods(namespace) {
      for (const { object } of pods?.range(`${namespace}/`) ?? []) yield object as Pod;
    },
  };
}
