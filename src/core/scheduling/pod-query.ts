import { labelRequirementsOf, matchesLabels } from "../../api/machinery/label-selector.ts";
import type { LabelRequirement } from "../../api/machinery/label-selector.ts";
import type { LabelSelector } from "../../api/machinery/metadata.ts";
import type { PodAffinityTerm, TopologySpreadConstraint } from "../../api/v1/affinity.ts";
import type { Namespace } from "../../api/v1/namespace.ts";
import type { Pod } from "../../api/v1/pod.ts";

/** A question about Pods that have a node: those that all parts of it match. */
export interface PodQuery {
  /** Equal for queries that ask the same. */
  readonly id: string;
  readonly parts: readonly QueryPart[];
  /** Pods that are being deleted count, too. */
  readonly countsDeleted: boolean;
}

interface QueryPart {
  /** undefined: all. */
  readonly namespaces: readonly string[] | undefined;
  /** undefined: nothing matches. */
  readonly requirements: readonly LabelRequirement[] | undefined;
}

/** A term of an affinity with what it means for the Pod that has it. */
export interface ResolvedTerm {
  readonly query: PodQuery;
  readonly part: QueryPart;
  readonly topologyKey: string;
}

export function queryMatches(query: PodQuery, { metadata }: Pod): boolean {
  if (!query.countsDeleted && metadata.deletionTimestamp !== undefined) return false;
  return query.parts.every(
    ({ namespaces, requirements }) =>
      (namespaces === undefined || namespaces.includes(metadata.namespace ?? "")) &&
      requirements !== undefined &&
      matchesLabels(requirements, metadata.labels),
  );
}

/** The Pods that a spread constraint of the Pod counts: those of its namespace that are not being deleted. */
export function spreadQuery(constraint: TopologySpreadConstraint, pod: Pod): PodQuery {
  const requirements = requirementsOf(constraint.labelSelector);
  const more = labelsAs("In", constraint.matchLabelKeys, pod);
  const part = {
    namespaces: [pod.metadata.namespace ?? ""],
    requirements: requirements && [...requirements, ...more],
  };
  return queryOf([part], false);
}

/**
 * @param namespaces those that exist: asked only by terms with a selector of namespaces.
 */
export function resolveTerm(
  term: PodAffinityTerm,
  pod: Pod,
  namespaces: readonly Namespace[],
): ResolvedTerm {
  const requirements = requirementsOf(term.labelSelector);
  const part = {
    namespaces: namespacesOf(term, pod, namespaces),
    requirements: requirements && [
      ...requirements,
      ...labelsAs("In", term.matchLabelKeys, pod),
      ...labelsAs("NotIn", term.mismatchLabelKeys, pod),
    ],
  };
  return { query: queryOf([part], true), part, topologyKey: term.topologyKey };
}

/** The Pods that match all the terms at once: those that required affinity counts. */
export function allOf(terms: readonly ResolvedTerm[]): PodQuery {
  return queryOf(
    terms.map(({ part }) => part),
    true,
  );
}

function queryOf(parts: readonly QueryPart[], countsDeleted: boolean): PodQuery {
  return { id: JSON.stringify([parts, countsDeleted]), parts, countsDeleted };
}

function namespacesOf(
  { namespaces: named = [], namespaceSelector }: PodAffinityTerm,
  { metadata }: Pod,
  existing: readonly Namespace[],
): readonly string[] | undefined {
  if (namespaceSelector === undefined) return named.length > 0 ? named : [metadata.namespace ?? ""];
  const requirements = requirementsOf(namespaceSelector) ?? [];
  if (requirements.length === 0) return undefined;
  const selected = existing.filter((one) => matchesLabels(requirements, one.metadata.labels));
  return [...new Set([...named, ...selected.map((one) => one.metadata.name)])].toSorted();
}

/** An absent selector selects nothing. */
function requirementsOf(
  selector: LabelSelector | undefined,
): readonly LabelRequirement[] | undefined {
  if (selector === undefined) return undefined;
  const parsed = labelRequirementsOf(selector);
  return parsed.kind === "parsed" ? parsed.requirements : undefined;
}

/** Tests against the values of the Pod's own labels; keys that it has no label of are left out. */
function labelsAs(
  operator: "In" | "NotIn",
  keys: readonly string[] | undefined,
  { metadata }: Pod,
): readonly LabelRequirement[] {
  return (keys ?? []).flatMap((key) => {
    const value = metadata.labels?.[key];
    return value === undefined ? [] : [{ key, operator, values: [value] }];
  });
}
