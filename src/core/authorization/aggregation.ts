import { deepEqual } from "../../api/machinery/json.ts";
import { labelRequirementsOf, matchesLabels } from "../../api/machinery/label-selector.ts";
import type { ClusterRole } from "../../api/rbac/role.ts";
import type { PolicyRule } from "../../api/rbac/rule.ts";

/**
 * The rules that an aggregated ClusterRole should have: those of all others that its selectors match, in
 * order of their names, each once. undefined for a role that does not aggregate.
 */
export function aggregatedRules(
  role: ClusterRole,
  others: Iterable<ClusterRole>,
): readonly PolicyRule[] | undefined {
  if (role.aggregationRule === undefined) return undefined;
  const selectors = (role.aggregationRule.clusterRoleSelectors ?? []).flatMap((selector) => {
    const parsed = labelRequirementsOf(selector);
    return parsed.kind === "parsed" ? [parsed.requirements] : [];
  });
  const chosen = [...others].filter(
    ({ metadata }) =>
      metadata.name !== role.metadata.name &&
      selectors.some((requirements) => matchesLabels(requirements, metadata.labels)),
  );
  const rules: PolicyRule[] = [];
  for (const { rules: more = [] } of chosen.toSorted(byName)) {
    for (const rule of more) if (!rules.some((one) => deepEqual(one, rule))) rules.push(rule);
  }
  return rules;
}

function byName(a: ClusterRole, b: ClusterRole): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
