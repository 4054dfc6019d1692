import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClusterRoleBinding, RoleBinding } from "../../api/rbac/binding.ts";
import { RBAC_GROUP } from "../../api/rbac/rule.ts";
import { describeDenial, parseAccountUserName, resourceAttributes } from "./attributes.ts";
import { PolicyIndex } from "./policy-index.ts";
import { authorizeByRoles, rulesOf } from "./rbac.ts";

const READ_PODS = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const LIST_NODES = { verbs: ["list"], apiGroups: [""], resources: ["nodes"] };

function binding(
  namespace: string | undefined,
  name: string,
  role: string,
  ...subjects: NonNullable<RoleBinding["subjects"]>
): RoleBinding & ClusterRoleBinding {
  const [kind, roleName = ""] = role.split("/");
  return {
    apiVersion: `${RBAC_GROUP}/v1`,
    kind: namespace === undefined ? "ClusterRoleBinding" : "RoleBinding",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    subjects,
    roleRef: { apiGroup: RBAC_GROUP, kind: kind ?? "", name: roleName },
  };
}

function policy(): PolicyIndex {
  const index = new PolicyIndex();
  index.setRole("", "nodes", [LIST_NODES]);
  index.setRole("", "pods", [READ_PODS]);
  index.setRole("web", "pods", [READ_PODS]);
  const jane = { kind: "User", name: "jane" };
  index.changeBinding(
    undefined,
    binding(undefined, "ops", "ClusterRole/nodes", { kind: "Group", name: "ops" }),
  );
  index.changeBinding(undefined, binding("web", "jane", "Role/pods", jane));
  index.changeBinding(undefined, binding("db", "jane", "ClusterRole/pods", jane));
  index.changeBinding(
    undefined,
    binding("db", "app", "ClusterRole/pods", { kind: "ServiceAccount", name: "app" }),
  );
  index.changeBinding(
    undefined,
    binding("web", "gone", "Role/none", { kind: "User", name: "joe" }),
  );
  return index;
}

function decide(name: string, groups: readonly string[], verb: string, what: string) {
  const [namespace = "", resource = ""] = what.split(":");
  const wanted = resourceAttributes({ verb, group: "", resource, namespace });
  return authorizeByRoles(policy(), { name, groups }, wanted);
}

describe("authorizeByRoles()", () => {
  const cases = [
    [
      "jane",
      [],
      "get",
      "web:pods",
      'RBAC: allowed by RoleBinding "jane/web" of Role "pods" to User "jane"',
    ],
    [
      "jane",
      [],
      "get",
      "db:pods",
      'RBAC: allowed by RoleBinding "jane/db" of ClusterRole "pods" to User "jane"',
    ],
    ["jane", [], "get", "other:pods", undefined],
    ["jane", [], "get", ":pods", undefined],
    ["jane", [], "list", ":nodes", undefined],
    [
      "ann",
      ["ops"],
      "list",
      ":nodes",
      'RBAC: allowed by ClusterRoleBinding "ops" of ClusterRole "nodes" to Group "ops"',
    ],
    ["ops", [], "list", ":nodes", undefined],
    [
      "system:serviceaccount:db:app",
      [],
      "get",
      "db:pods",
      'RBAC: allowed by RoleBinding "app/db" of ClusterRole "pods" to ServiceAccount "app/db"',
    ],
    ["system:serviceaccount:web:app", [], "get", "db:pods", undefined],
  ] as const;
  for (const [name, groups, verb, what, reason] of cases) {
    it(`${reason === undefined ? "does not let" : "lets"} ${name} of [${groups.join()}] ${verb} ${what}`, () => {
      const decision = decide(name, groups, verb, what);
      assert.deepEqual(
        decision,
        reason === undefined ? { kind: "no-opinion", reason: "" } : { kind: "allow", reason },
      );
    });
  }

  it("says which role is bound and not there", () => {
    assert.deepEqual(decide("joe", [], "get", "web:pods"), {
      kind: "no-opinion",
      reason: 'RBAC: role.rbac.authorization.k8s.io "none" not found',
    });
  });
});

describe("PolicyIndex", () => {
  it("forgets bindings and roles that are changed or gone", () => {
    const index = policy();
    const jane = { name: "jane", groups: [] };
    const before = binding("web", "jane", "Role/pods", { kind: "User", name: "jane" });
    index.changeBinding(before, binding("web", "jane", "Role/pods", { kind: "User", name: "joe" }));
    assert.deepEqual(rulesOf(index, jane, "web").rules, []);
    index.setRole("", "pods", undefined);
    assert.deepEqual(rulesOf(index, jane, "db"), {
      rules: [],
      error: 'clusterrole.rbac.authorization.k8s.io "pods" not found',
    });
  });

  it("counts a binding once, however often it names the user", () => {
    const index = new PolicyIndex();
    index.setRole("", "pods", [READ_PODS]);
    const both = [
      { kind: "User", name: "jane" },
      { kind: "Group", name: "ops" },
    ] as const;
    index.changeBinding(undefined, binding(undefined, "b", "ClusterRole/pods", ...both));
    const { rules } = rulesOf(index, { name: "jane", groups: ["ops"] }, "");
    assert.deepEqual(rules, [READ_PODS]);
  });
});

it("describeDenial() says what is missing, in upstream's words", () => {
  const user = { name: "jane", groups: [] };
  const log = { verb: "get", group: "", resource: "pods", subresource: "log", namespace: "web" };
  assert.equal(
    describeDenial(user, resourceAttributes(log)),
    'User "jane" cannot get resource "pods/log" in API group "" in the namespace "web"',
  );
  const nodes = { verb: "list", group: "x.io", resource: "nodes" };
  assert.equal(
    describeDenial(user, resourceAttributes(nodes)),
    'User "jane" cannot list resource "nodes" in API group "x.io" at the cluster scope',
  );
  assert.equal(
    describeDenial(user, { kind: "path", verb: "get", path: "/metrics" }),
    'User "jane" cannot get path "/metrics"',
  );
});

it("parseAccountUserName() takes two parts and no more", () => {
  const parse = (text: string) => parseAccountUserName(`system:serviceaccount:${text}`);
  assert.deepEqual(parse("a:b"), { namespace: "a", name: "b" });
  for (const bad of ["a", "a:", ":b", "a:b:c"]) assert.equal(parse(bad), undefined);
  assert.equal(parseAccountUserName("a:b"), undefined);
});
