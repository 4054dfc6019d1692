import { matchesLabelMap, matchesLabels } from "../../api/machinery/label-selector.ts";
import type { LabelOperator, LabelRequirement } from "../../api/machinery/label-selector.ts";
import type { NodeSelectorTerm } from "../../api/v1/affinity.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";

const OPERATORS: readonly LabelOperator[] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

/** The node is one that the Pod's nodeSelector and required node affinity ask for. */
export function isWantedNode({ spec }: Pod, node: Node): boolean {
  if (!matchesLabelMap(spec.nodeSelector ?? {}, node.metadata.labels)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => holds(term, node));
}

/** The sum of the weights of the Pod's wishes that the node fulfils. */
export function nodeWishes({ spec }: Pod, node: Node): number {
  const wishes = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return wishes.reduce(
    (sum, { weight, preference }) => sum + (holds(preference, node) ? weight : 0),
    0,
  );
}

/** All tests of the term hold. A term without tests matches no node. */
function holds({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matchExpressions.every((test) => matches(test, node.metadata.labels)) &&
    // The only field there is.
    matchFields.every((test) => matches(test, { "metadata.name": node.metadata.name }))
  );
}

function matches(
  { key, operator: text, values = [] }: NonNullable<NodeSelectorTerm["matchFields"]>[number],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const operator = OPERATORS.find((known) => known === text);
  // Validation lets no other through; one that came from elsewhere matches nothing.
  if (operator === undefined) return false;
  const requirement: LabelRequirement = { key, operator, values };
  return matchesLabels([requirement], labels);
}
