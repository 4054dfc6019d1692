import type { KindDefinition } from "./kind.ts";
import type { KubernetesObject } from "./metadata.ts";

/** One test of a selectable field; all tests of a selector must hold. */
export interface FieldRequirement {
  /** e.g. `spec.nodeName`. */
  readonly path: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

export type FieldRequirements =
  | { readonly kind: "parsed"; readonly requirements: readonly FieldRequirement[] }
  | { readonly kind: "malformed"; readonly message: string };

type Selectable<T extends KubernetesObject> = Pick<KindDefinition<T>, "selectableFields">;

/**
 * Parses the `fieldSelector` of a query: `metadata.name=x,status.phase!=Running`; `\` escapes `,`, `=` and
 * itself. Source: apimachinery `fields.ParseSelector`.
 */
export function parseFieldSelector(text: string): FieldRequirements {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    if (term === "") continue;
    const [, path, sign, raw] = /^((?:[^\\=!]|\\.|!(?!=))*)(==|=|!=)(.*)$/s.exec(term) ?? [];
    if (path === undefined || raw === undefined) {
      return malformed(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    const broken = /^(?:[^\\=,]|\\[\\=,])*(.*)$/s.exec(raw)?.[1] ?? "";
    if (broken.startsWith("\\")) {
      return malformed(`invalid field selector: invalid escape sequence: ${broken.slice(0, 2)}`);
    }
    if (broken !== "") {
      return malformed(`invalid field selector: unescaped character in value: ${broken[0] ?? ""}`);
    }
    const value = raw.replaceAll(/\\(.)/gs, "$1");
    requirements.push({ path, operator: sign === "!=" ? "!=" : "=", value });
  }
  return { kind: "parsed", requirements };
}

/** Splits at commas that are not escaped. */
function splitTerms(text: string): readonly string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...terms, text.slice(start)];
}

function malformed(message: string): FieldRequirements {
  return { kind: "malformed", message };
}

/**
 * What upstream says when a selector names a field that the kind does not offer; undefined when all are
 * known. The answer is 400 BadRequest. (SVC-023)
 */
export function fieldSelectorProblem<T extends KubernetesObject>(
  requirements: readonly FieldRequirement[],
  kind: Selectable<T>,
): string | undefined {
  const unknown = requirements.find(
    ({ path }) => !isMetadataField(path) && !kind.selectableFields.some((f) => f.path === path),
  );
  if (unknown === undefined) return undefined;
  return kind.selectableFields.length > 0
    ? `field label not supported: ${unknown.path}`
    : `"${unknown.path}" is not a known field selector: only "metadata.name", "metadata.namespace"`;
}

/** Whether the object is selected. A field that the kind does not offer reads as "". */
export function matchesFields<T extends KubernetesObject>(
  requirements: readonly FieldRequirement[],
  kind: Selectable<T>,
  object: T,
): boolean {
  return requirements.every(
    ({ path, operator, value }) =>
      (fieldValue(kind, object, path) === value) === (operator === "="),
  );
}

function isMetadataField(path: string): boolean {
  return path === "metadata.name" || path === "metadata.namespace";
}

function fieldValue<T extends KubernetesObject>(
  kind: Selectable<T>,
  object: T,
  path: string,
): string {
  if (path === "metadata.name") return object.metadata.name;
  if (path === "metadata.namespace") return object.metadata.namespace ?? "";
  return kind.selectableFields.find((f) => f.path === path)?.value(object) ?? "";
}
