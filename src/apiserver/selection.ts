import {
  fieldSelectorProblem,
  matchesFields,
  parseFieldSelector,
} from "../api/machinery/field-selector.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { parseLabelSelector } from "../api/machinery/label-selector-text.ts";
import { matchesLabels } from "../api/machinery/label-selector.ts";
import { badRequest } from "./failures.ts";
import type { Selection } from "./list.ts";
import type { ListQuery } from "./query.ts";
import type { Served } from "./stored.ts";

/** Selectors are parsed by walks whose cost grows with their length; no client of ours comes near this. */
const MAX_SELECTOR_LENGTH = 64 * 1024;

/**
 * The objects that a list, watch or deletecollection is about. `name` stands for the old way to watch one
 * object by its path.
 * @throws StatusError 400 for a selector that cannot be read or names an unknown field.
 */
export function selectionOf(
  kind: KindDefinition,
  namespace: string,
  name: string | undefined,
  query: Pick<ListQuery, "labelSelector" | "fieldSelector">,
): Selection {
  const { labelSelector, fieldSelector } = query;
  if (labelSelector.length + fieldSelector.length > MAX_SELECTOR_LENGTH) {
    throw badRequest(`selectors are longer than ${String(MAX_SELECTOR_LENGTH)} characters`);
  }
  const labels = parseLabelSelector(labelSelector);
  if (labels.kind === "malformed") throw badRequest(labels.message);
  const fields = parseFieldSelector(fieldSelector);
  if (fields.kind === "malformed") throw badRequest(fields.message);
  const problem = fieldSelectorProblem(fields.requirements, kind);
  if (problem !== undefined) throw badRequest(problem);
  const requirements =
    name === undefined
      ? fields.requirements
      : [...fields.requirements, { path: "metadata.name", operator: "=", value: name } as const];
  const prefix = prefixOf(kind, namespace, requirements);
  if (labels.requirements.length === 0 && requirements.length === 0) {
    return { prefix, matches: undefined };
  }
  const matches = ({ object }: Served) =>
    matchesFields(requirements, kind, object) &&
    matchesLabels(labels.requirements, object.metadata.labels ?? {});
  return { prefix, matches };
}

/** A selector for one name narrows the range of keys, so that it does not walk over all objects. */
function prefixOf(
  kind: KindDefinition,
  namespace: string,
  requirements: readonly { path: string; operator: string; value: string }[],
): string {
  const scope = namespace === "" ? "" : `${namespace}/`;
  if (kind.namespaced && namespace === "") return "";
  const named = requirements.find((one) => one.path === "metadata.name" && one.operator === "=");
  return scope + (named?.value ?? "");
}
