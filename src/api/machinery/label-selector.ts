import type { LabelSelector } from "./metadata.ts";

/** One test of a label. All tests of a selector must hold; no tests select everything. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** One for `Gt` and `Lt`, none for `Exists` and `DoesNotExist`. */
  readonly values: readonly string[];
}

const OBJECT_OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;
export type LabelOperator = (typeof OBJECT_OPERATORS)[number] | "Gt" | "Lt";

type Labels = Readonly<Record<string, string>> | undefined;

export type LabelRequirements =
  | { readonly kind: "parsed"; readonly requirements: readonly LabelRequirement[] }
  | { readonly kind: "malformed"; readonly message: string };

/** The tests of a LabelSelector object. An empty one selects everything; what an absent one means, the field says. */
export function labelRequirementsOf(selector: LabelSelector): LabelRequirements {
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) => ({ key, operator: "In", values: [value] }),
  );
  for (const { key, operator: text, values = [] } of selector.matchExpressions ?? []) {
    const operator = OBJECT_OPERATORS.find((known) => known === text);
    if (operator === undefined) {
      return { kind: "malformed", message: `"${text}" is not a valid label selector operator` };
    }
    requirements.push({ key, operator, values });
  }
  return { kind: "parsed", requirements };
}

/**
 * Whether an object with these labels is selected. As upstream, `NotIn` (and so `!=`) also holds where the
 * label is missing.
 */
export function matchesLabels(requirements: readonly LabelRequirement[], labels: Labels): boolean {
  return requirements.every((requirement) => holds(requirement, labels));
}

/**
 * Whether an object with these labels is selected by a plain map, such as a Service's selector. An empty map
 * selects everything; Services with an empty selector are the caller's special case.
 */
export function matchesLabelMap(
  selector: Readonly<Record<string, string>>,
  labels: Labels,
): boolean {
  return Object.keys(selector).every((key) => labelOf(labels, key) === selector[key]);
}

function holds({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labelOf(labels, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const actual = parseInteger(value);
      const bound = parseInteger(values[0]);
      if (actual === undefined || bound === undefined) return false;
      return operator === "Gt" ? actual > bound : actual < bound;
    }
  }
}

function labelOf(labels: Labels, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** A 64-bit integer as Go's ParseInt takes it. */
export function parseInteger(text: string | undefined): bigint | undefined {
  if (text === undefined || text.length > 20 || !/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}
