import type { PolicyRule } from "../../api/rbac/rule.ts";
import { resourceText } from "./attributes.ts";
import type { Attributes } from "./attributes.ts";

const ALL = "*";

/** Whether the rule allows what the attributes say. Source: upstream `pkg/apis/rbac/v1/evaluation_helpers.go`. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!rule.verbs.includes(ALL) && !rule.verbs.includes(attributes.verb)) return false;
  if (attributes.kind === "path") return pathMatches(rule.nonResourceURLs ?? [], attributes.path);
  const { apiGroups = [], resources = [], resourceNames = [] } = rule;
  return (
    (apiGroups.includes(ALL) || apiGroups.includes(attributes.group)) &&
    resourceMatches(resources, resourceText(attributes), attributes.subresource) &&
    // Without names a rule is for all; a request that names nothing (list, create) fits no name.
    (resourceNames.length === 0 || resourceNames.includes(attributes.name))
  );
}

/** `*` is all, `RESOURCE/SUBRESOURCE` a part, and a `*` before the slash that part of every resource. */
function resourceMatches(
  resources: readonly string[],
  combined: string,
  subresource: string,
): boolean {
  return resources.some(
    (one) =>
      one === ALL || one === combined || (subresource !== "" && one === `${ALL}/${subresource}`),
  );
}

function pathMatches(patterns: readonly string[], path: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === ALL ||
      pattern === path ||
      (pattern.endsWith(ALL) && path.startsWith(pattern.slice(0, -1))),
  );
}

/** More combinations than this are not looked through: nobody writes so many by hand. */
const MAX_COMBINATIONS = 50_000;

/**
 * Of the rules that are to be given, the part that `own` does not allow already: each with one verb, group,
 * resource and name. Rules beyond a bound on combinations are returned whole. Source: upstream
 * `component-helpers/auth/rbac/validation/policy_comparator.go:Covers`.
 */
export function uncovered(
  own: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): readonly PolicyRule[] {
  let looked = 0;
  return wanted.flatMap((rule) => {
    if (own.some((one) => covers(one, rule))) return [];
    looked += combinations(rule);
    if (looked > MAX_COMBINATIONS) return [rule];
    return atoms(rule).filter((atom) => !own.some((one) => covers(one, atom)));
  });
}

function combinations({
  verbs,
  apiGroups = [],
  resources = [],
  resourceNames = [],
  nonResourceURLs = [],
}: PolicyRule): number {
  const names = Math.max(resourceNames.length, 1);
  return verbs.length * (apiGroups.length * resources.length * names + nonResourceURLs.length);
}

function atoms(rule: PolicyRule): readonly PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const found: PolicyRule[] = [];
  for (const verb of verbs) {
    for (const group of apiGroups) {
      for (const resource of resources) {
        const one = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) found.push(one);
        for (const name of resourceNames) found.push({ ...one, resourceNames: [name] });
      }
    }
    for (const url of nonResourceURLs) found.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return found;
}

/** Whether one rule allows all that another does. Both may be of several verbs, groups and resources. */
function covers(own: PolicyRule, wanted: PolicyRule): boolean {
  const names = own.resourceNames ?? [];
  const wantedNames = wanted.resourceNames ?? [];
  return (
    hasAll(own.verbs, wanted.verbs) &&
    hasAll(own.apiGroups ?? [], wanted.apiGroups ?? []) &&
    (wanted.resources ?? []).every((one) => coversResource(own.resources ?? [], one)) &&
    // Names narrow a rule, so no names are more than some.
    (names.length === 0 ||
      (wantedNames.length > 0 && wantedNames.every((one) => names.includes(one)))) &&
    (wanted.nonResourceURLs ?? []).every((one) => pathMatches(own.nonResourceURLs ?? [], one))
  );
}

function hasAll(own: readonly string[], wanted: readonly string[]): boolean {
  return own.includes(ALL) || wanted.every((one) => own.includes(one));
}

function coversResource(own: readonly string[], wanted: string): boolean {
  const slash = wanted.indexOf("/");
  const subresource = slash === -1 ? "" : wanted.slice(slash + 1);
  return resourceMatches(own, wanted, subresource);
}

/** As upstream prints a rule in messages, e.g. `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
export function formatRule(rule: PolicyRule): string {
  const parts: readonly (readonly [string, readonly string[] | undefined])[] = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["ResourceNames", rule.resourceNames],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["Verbs", rule.verbs],
  ];
  const texts = parts.flatMap(([name, values = []]) =>
    values.length === 0
      ? []
      : [`${name}:[${values.map((value) => JSON.stringify(value)).join(" ")}]`],
  );
  return `{${texts.join(", ")}}`;
}
