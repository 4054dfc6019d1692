import type { ClusterRoleBinding, RoleBinding, Subject as Member } from "../../api/rbac/binding.ts";
import type { PolicyRule } from "../../api/rbac/rule.ts";
import { accountUserName } from "./attributes.ts";
import type { Subject } from "./attributes.ts";
import type { Policy } from "./rbac.ts";

type Binding = RoleBinding | ClusterRoleBinding;

/**
 * Roles and bindings by who is bound, kept by single changes; so that a question costs what its user has, and
 * not what all others have.
 */
export class PolicyIndex implements Policy {
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  /** By `NAMESPACE/KIND:SUBJECT`, then by the binding's name. */
  readonly #bindings = new Map<string, Map<string, Binding>>();

  /** @param namespace "" for a ClusterRole. @param rules undefined: the role is gone. */
  setRole(namespace: string, name: string, rules: readonly PolicyRule[] | undefined): void {
    if (rules === undefined) this.#roles.delete(`${namespace}/${name}`);
    else this.#roles.set(`${namespace}/${name}`, rules);
  }

  /** Replaces a binding by what it became; either may be absent. */
  changeBinding(before: Binding | undefined, after: Binding | undefined): void {
    if (before !== undefined) {
      for (const key of keysOf(before)) {
        const held = this.#bindings.get(key);
        held?.delete(before.metadata.name);
        if (held?.size === 0) this.#bindings.delete(key);
      }
    }
    if (after === undefined) return;
    for (const key of keysOf(after)) {
      const held = this.#bindings.get(key) ?? new Map<string, Binding>();
      this.#bindings.set(key, held.set(after.metadata.name, after));
    }
  }

  clusterBindings(user: Subject): Iterable<ClusterRoleBinding> {
    return this.#of(user, "");
  }

  bindings(user: Subject, namespace: string): Iterable<RoleBinding> {
    return this.#of(user, namespace);
  }

  clusterRole(name: string): readonly PolicyRule[] | undefined {
    return this.#roles.get(`/${name}`);
  }

  role(namespace: string, name: string): readonly PolicyRule[] | undefined {
    return this.#roles.get(`${namespace}/${name}`);
  }

  *#of(user: Subject, namespace: string): Iterable<Binding> {
    const seen = new Set<Binding>();
    const keys = [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
    for (const key of keys) {
      for (const binding of this.#bindings.get(`${namespace}/${key}`)?.values() ?? []) {
        if (seen.has(binding)) continue;
        seen.add(binding);
        yield binding;
      }
    }
  }
}

function keysOf({ metadata, subjects = [] }: Binding): readonly string[] {
  const namespace = metadata.namespace ?? "";
  return subjects.map((member) => `${namespace}/${memberKey(member, namespace)}`);
}

/** A ServiceAccount is found by the name that it has as a user. */
function memberKey(member: Member, namespace: string): string {
  return member.kind === "ServiceAccount"
    ? `User:${accountUserName(member.namespace || namespace, member.name)}`
    : `${member.kind}:${member.name}`;
}
