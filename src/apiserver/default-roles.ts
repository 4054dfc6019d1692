import { deepEqual } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject, ObjectMeta } from "../api/machinery/metadata.ts";
import { failure } from "../api/machinery/status.ts";
import type { ClusterRoleBinding, Subject } from "../api/rbac/binding.ts";
import type { ClusterRole } from "../api/rbac/role.ts";
import { RBAC_GROUP } from "../api/rbac/rule.ts";
import { aggregatedRules } from "../core/authorization/aggregation.ts";
import { DEFAULT_BINDINGS, DEFAULT_ROLES } from "../core/authorization/default-roles.ts";
import type { DefaultBinding, DefaultRole } from "../core/authorization/default-roles.ts";
import { uncovered } from "../core/authorization/rules.ts";
import { RBAC_RESOURCES } from "./authorizer.ts";
import { createdMetadata } from "./object-identity.ts";
import type { Registry, Step } from "./registry.ts";
import type { WatchCache } from "./watch-cache.ts";

export interface DefaultRolesDeps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  /** By resource name. */
  readonly kinds: ReadonlyMap<string, KindDefinition>;
  readonly now: () => number;
  readonly newUid: () => string;
}

/** Whoever sets this to "false" on a default role or binding has it left alone. */
const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const MAX_ATTEMPTS = 5;

/**
 * Creates the default ClusterRoles and their bindings, and gives back what was taken from them, in one commit;
 * what others added stays.
 * @throws StatusError 503 when the store refuses, 409 when others keep being faster.
 */
export async function ensureDefaultRoles(deps: DefaultRolesDeps): Promise<void> {
  const roleKind = deps.kinds.get(RBAC_RESOURCES.clusterRole);
  const bindingKind = deps.kinds.get(RBAC_RESOURCES.clusterBinding);
  if (roleKind === undefined || bindingKind === undefined) return;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const steps = [...roleSteps(deps, roleKind), ...bindingSteps(deps, bindingKind)];
    if (steps.length === 0) return;
    const result = await deps.registry.commit(steps);
    if (result.kind === "committed") return;
  }
  throw failure(409, "Conflict", "the default roles could not be written: others were faster");
}

function roleSteps(deps: DefaultRolesDeps, kind: KindDefinition): readonly Step[] {
  // The cache of cluster roles holds ClusterRoles.
  const known = new Map(
    deps.cache
      .of(kind)
      .snapshot("")
      .map(({ key, object }) => [String(key), object as ClusterRole]),
  );
  const steps: Step[] = [];
  // From view to admin, since each of the aggregated ones takes in the one before.
  for (const wanted of DEFAULT_ROLES.toReversed()) {
    const ref = { name: wanted.name };
    const current = deps.registry.get(kind, ref);
    const next = current
      ? repairedRole(current.object as ClusterRole, wanted)
      : newRole(deps, wanted, known.values());
    if (next === undefined) continue;
    known.set(wanted.name, next);
    steps.push({ kind, ref, current, next: kind.strategy.defaults(next) });
  }
  return steps;
}

function newRole(
  deps: DefaultRolesDeps,
  { name, rules, labels, aggregates }: DefaultRole,
  others: Iterable<ClusterRole>,
): ClusterRole {
  const role: ClusterRole = {
    apiVersion: `${RBAC_GROUP}/v1`,
    kind: "ClusterRole",
    metadata: metadataOf(deps, name, labels),
    rules,
  };
  if (aggregates === undefined) return role;
  const label = `rbac.authorization.k8s.io/aggregate-to-${aggregates}`;
  const aggregating = {
    ...role,
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [label]: "true" } }] },
  };
  return { ...aggregating, rules: aggregatedRules(aggregating, others) ?? [] };
}

/** @returns undefined when nothing is missing. The rules of aggregated roles are their controller's. */
function repairedRole(role: ClusterRole, wanted: DefaultRole): ClusterRole | undefined {
  if (!isKept(role) || wanted.aggregates !== undefined) return undefined;
  const missing = uncovered(role.rules ?? [], wanted.rules);
  return missing.length === 0 ? undefined : { ...role, rules: [...(role.rules ?? []), ...missing] };
}

function bindingSteps(deps: DefaultRolesDeps, kind: KindDefinition): readonly Step[] {
  return DEFAULT_BINDINGS.flatMap((wanted) => {
    const ref = { name: wanted.name };
    const current = deps.registry.get(kind, ref);
    const next = current
      ? // The cache of bindings holds ClusterRoleBindings.
        repairedBinding(current.object as ClusterRoleBinding, wanted)
      : newBinding(deps, wanted);
    return next === undefined ? [] : [{ kind, ref, current, next: kind.strategy.defaults(next) }];
  });
}

function newBinding(deps: DefaultRolesDeps, wanted: DefaultBinding): ClusterRoleBinding {
  const subjects = subjectsOf(wanted);
  return {
    apiVersion: `${RBAC_GROUP}/v1`,
    kind: "ClusterRoleBinding",
    metadata: metadataOf(deps, wanted.name),
    ...(subjects.length === 0 ? {} : { subjects }),
    roleRef: roleRefOf(wanted),
  };
}

function repairedBinding(
  binding: ClusterRoleBinding,
  wanted: DefaultBinding,
): ClusterRoleBinding | undefined {
  if (!isKept(binding)) return undefined;
  const roleRef = roleRefOf(wanted);
  const subjects = binding.subjects ?? [];
  const missing = subjectsOf(wanted).filter((one) => !subjects.some((had) => deepEqual(had, one)));
  if (missing.length === 0 && deepEqual(binding.roleRef, roleRef)) return undefined;
  return { ...binding, roleRef, subjects: [...subjects, ...missing] };
}

function subjectsOf({
  groups = [],
  users = [],
  accounts = [],
}: DefaultBinding): readonly Subject[] {
  return [
    ...groups.map((name) => ({ kind: "Group", apiGroup: RBAC_GROUP, name })),
    ...users.map((name) => ({ kind: "User", apiGroup: RBAC_GROUP, name })),
    ...accounts.map((name) => ({ kind: "ServiceAccount", name, namespace: "kube-system" })),
  ];
}

function roleRefOf({ role }: DefaultBinding): ClusterRoleBinding["roleRef"] {
  return { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: role };
}

function isKept({ metadata }: KubernetesObject): boolean {
  return metadata.annotations?.[AUTOUPDATE] !== "false";
}

function metadataOf(
  { now, newUid }: DefaultRolesDeps,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): ObjectMeta {
  return createdMetadata(
    { name, labels: { ...LABELS, ...labels }, annotations: { [AUTOUPDATE]: "true" } },
    { uid: newUid(), nowMs: now(), hasGeneration: false },
  );
}
