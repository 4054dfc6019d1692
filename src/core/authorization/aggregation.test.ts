import assert from "node:assert/strict";
import { it } from "node:test";
import type { ClusterRole } from "../../api/rbac/role.ts";
import { aggregatedRules } from "./aggregation.ts";

function role(name: string, label: string, ...resources: readonly string[]): ClusterRole {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name, labels: { to: label } },
    rules: resources.map((one) => ({ verbs: ["get"], apiGroups: [""], resources: [one] })),
  };
}

it("aggregatedRules() gathers the selected roles' rules by name, each once, and never its own", () => {
  const whole: ClusterRole = {
    ...role("whole", "x", "old"),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: "x" } }] },
  };
  const others = [
    role("b", "x", "pods", "nodes"),
    whole,
    role("a", "x", "pods"),
    role("c", "y", "secrets"),
  ];
  const resources = (aggregatedRules(whole, others) ?? []).flatMap((rule) => rule.resources);
  assert.deepEqual(resources, ["pods", "nodes"]);
  assert.deepEqual(aggregatedRules(whole, others.toReversed()), aggregatedRules(whole, others));
});

it("aggregatedRules() leaves roles that do not aggregate alone", () => {
  assert.equal(aggregatedRules(role("a", "x", "pods"), []), undefined);
});
