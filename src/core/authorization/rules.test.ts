import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { PolicyRule } from "../../api/rbac/rule.ts";
import { resourceAttributes } from "./attributes.ts";
import type { Attributes } from "./attributes.ts";
import { formatRule, ruleAllows, uncovered } from "./rules.ts";

const PODS: PolicyRule = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] };

function asks(verb: string, resource: string, more: object = {}): Attributes {
  return resourceAttributes({ verb, group: "", resource, ...more });
}

describe("ruleAllows()", () => {
  const cases: readonly (readonly [string, PolicyRule, Attributes, boolean])[] = [
    ["a verb and resource it names", PODS, asks("get", "pods"), true],
    ["not another verb", PODS, asks("delete", "pods"), false],
    ["not another resource", PODS, asks("get", "services"), false],
    ["not another group", PODS, asks("get", "pods", { group: "apps" }), false],
    ["not a subresource by its resource", PODS, asks("get", "pods", { subresource: "log" }), false],
    [
      "a subresource that it names",
      { ...PODS, resources: ["pods/log"] },
      asks("get", "pods", { subresource: "log" }),
      true,
    ],
    [
      "a subresource of every resource",
      { ...PODS, resources: ["*/log"] },
      asks("get", "pods", { subresource: "log" }),
      true,
    ],
    ["not the resource by that", { ...PODS, resources: ["*/log"] }, asks("get", "pods"), false],
    [
      "everything with stars",
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
      asks("patch", "nodes", { group: "x", subresource: "y" }),
      true,
    ],
    [
      "a name that it names",
      { ...PODS, resourceNames: ["a"] },
      asks("get", "pods", { name: "a" }),
      true,
    ],
    [
      "not another name",
      { ...PODS, resourceNames: ["a"] },
      asks("get", "pods", { name: "b" }),
      false,
    ],
    ["not all where it names some", { ...PODS, resourceNames: ["a"] }, asks("list", "pods"), false],
    [
      "a path",
      { verbs: ["get"], nonResourceURLs: ["/version"] },
      { kind: "path", verb: "get", path: "/version" },
      true,
    ],
    [
      "a path by its beginning",
      { verbs: ["get"], nonResourceURLs: ["/apis/*"] },
      { kind: "path", verb: "get", path: "/apis/apps" },
      true,
    ],
    [
      "not a path that only begins alike",
      { verbs: ["get"], nonResourceURLs: ["/apis"] },
      { kind: "path", verb: "get", path: "/apis/apps" },
      false,
    ],
    [
      "not a path by a rule of resources",
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
      { kind: "path", verb: "get", path: "/metrics" },
      false,
    ],
  ];
  for (const [what, rule, attributes, allowed] of cases) {
    it(`allows ${what}`, () => assert.equal(ruleAllows(rule, attributes), allowed));
  }
});

describe("uncovered()", () => {
  it("is empty where one rule allows all, and where several do so together", () => {
    assert.deepEqual(uncovered([PODS], [{ ...PODS, verbs: ["get"] }]), []);
    const services = { ...PODS, resources: ["services"] };
    assert.deepEqual(
      uncovered([PODS, services], [{ ...PODS, resources: ["pods", "services"] }]),
      [],
    );
  });

  it("names each combination that is missing", () => {
    assert.deepEqual(uncovered([PODS], [{ ...PODS, verbs: ["get", "delete"] }]), [
      { verbs: ["delete"], apiGroups: [""], resources: ["pods"] },
    ]);
    const named = { ...PODS, verbs: ["get"], resourceNames: ["a"] };
    assert.deepEqual(uncovered([named], [{ ...PODS, verbs: ["get"] }]), [
      { verbs: ["get"], apiGroups: [""], resources: ["pods"] },
    ]);
    assert.deepEqual(uncovered([PODS], [named]), []);
    const all = { verbs: ["get"], nonResourceURLs: ["*"] };
    const some = { verbs: ["get"], nonResourceURLs: ["/a/*", "/b"] };
    assert.deepEqual(uncovered([all], [some]), []);
    assert.deepEqual(uncovered([{ verbs: ["get"], nonResourceURLs: ["/a/*"] }], [some]), [
      { verbs: ["get"], nonResourceURLs: ["/b"] },
    ]);
  });

  it("gives back whole what is too much to look through", () => {
    const names = Array.from({ length: 300 }, (_, i) => `r${String(i)}`);
    const huge = { verbs: names, apiGroups: names, resources: names };
    assert.deepEqual(uncovered([PODS], [huge]), [huge]);
  });

  const word = fc.constantFrom("*", "get", "pods", "pods/log", "*/log", "services", "");
  const words = fc.uniqueArray(word, { minLength: 1, maxLength: 3 });
  const rules = fc.array(
    fc.record({
      verbs: words,
      apiGroups: words,
      resources: words,
      resourceNames: fc.uniqueArray(fc.constantFrom("a", "b"), { maxLength: 2 }),
    }),
    { maxLength: 3 },
  );
  const requests = fc.record({
    verb: fc.constantFrom("get", "delete"),
    group: fc.constantFrom("", "apps"),
    resource: fc.constantFrom("pods", "services"),
    subresource: fc.constantFrom("", "log"),
    name: fc.constantFrom("", "a", "b", "c"),
  });

  it("never passes a rule that allows more than the own ones do", () => {
    fc.assert(
      fc.property(rules, rules, requests, (own, wanted, request) => {
        if (uncovered(own, wanted).length > 0) return;
        const attributes = resourceAttributes(request);
        const gives = wanted.some((rule) => ruleAllows(rule, attributes));
        assert.ok(!gives || own.some((rule) => ruleAllows(rule, attributes)));
      }),
      { numRuns: 2000 },
    );
  });

  it("passes everybody's own rules", () => {
    fc.assert(fc.property(rules, (own) => assert.deepEqual(uncovered(own, own), [])));
  });
});

it("formatRule() writes what is there, as upstream does", () => {
  assert.equal(formatRule(PODS), '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}');
});
