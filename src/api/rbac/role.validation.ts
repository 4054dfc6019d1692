import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateLabelSelector } from "../machinery/label-selector.validation.ts";
import type { ClusterRole, Role } from "./role.ts";
import type { PolicyRule } from "./rule.ts";

/** As upstream's `pkg/apis/rbac/validation`. */
export function validateRole({ rules = [] }: Role): readonly FieldError[] {
  return rules.flatMap((rule, i) => validateRule(rule, true, `rules[${String(i)}]`));
}

export function validateClusterRole(object: ClusterRole): readonly FieldError[] {
  const { rules = [], aggregationRule } = object;
  const errors = rules.flatMap((rule, i) => validateRule(rule, false, `rules[${String(i)}]`));
  if (aggregationRule === undefined) return errors;
  const path = "aggregationRule.clusterRoleSelectors";
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    const why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
    return [...errors, required(path, why)];
  }
  return [
    ...errors,
    ...selectors.flatMap((selector, i) => validateLabelSelector(selector, `${path}[${String(i)}]`)),
  ];
}

function validateRule(rule: PolicyRule, namespaced: boolean, path: string): readonly FieldError[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (verbs.length === 0) {
    errors.push(required(`${path}.verbs`, "verbs must contain at least one value"));
  }
  if (nonResourceURLs.length > 0) {
    const urls = `${path}.nonResourceURLs`;
    if (namespaced) {
      const why = "namespaced rules cannot apply to non-resource URLs";
      errors.push(invalid(urls, nonResourceURLs, why));
    }
    if (apiGroups.length > 0 || resources.length > 0 || resourceNames.length > 0) {
      const why = "rules cannot apply to both regular resources and non-resource URLs";
      errors.push(invalid(urls, nonResourceURLs, why));
    }
    return errors;
  }
  if (apiGroups.length === 0) {
    errors.push(required(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  }
  if (resources.length === 0) {
    errors.push(required(`${path}.resources`, "resource rules must supply at least one resource"));
  }
  return errors;
}
