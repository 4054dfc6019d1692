import type { PolicyRule } from "../../api/rbac/rule.ts";

export const READ: readonly string[] = ["get", "list", "watch"];
export const WRITE: readonly string[] = ["create", "delete", "deletecollection", "patch", "update"];

export function rule(
  verbs: readonly string[],
  apiGroups: readonly string[],
  resources: readonly string[],
): PolicyRule {
  return { verbs, apiGroups, resources };
}

export function pathRule(...nonResourceURLs: readonly string[]): PolicyRule {
  return { verbs: ["get"], nonResourceURLs };
}
