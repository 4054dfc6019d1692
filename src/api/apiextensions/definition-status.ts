import type { KindDefinition } from "../machinery/kind.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionStatus,
} from "./customresourcedefinition.ts";
import { conditionOf } from "./customresourcedefinition.validation.ts";

/** Holds a definition back until the objects of its kind are gone. */
export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

type NewCondition = Pick<
  CustomResourceDefinitionCondition,
  "type" | "status" | "reason" | "message"
>;

/** Names that are taken in the group of a definition. */
type Taken = Pick<
  CustomResourceDefinitionNames,
  "plural" | "singular" | "shortNames" | "kind" | "listKind"
>;

/**
 * Decides under which names a definition is served, and says so in its status (upstream `controller/status`).
 * All names or none: whoever comes first has them.
 * @param others All other definitions.
 * @param fixed The kinds that are built in.
 * @param time As metav1.Time.
 */
export function acceptNames(
  crd: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  fixed: readonly KindDefinition[],
  time: string,
): CustomResourceDefinition {
  const { group, names } = crd.spec;
  const taken: readonly Taken[] = [
    ...fixed
      .filter((kind) => kind.group === group)
      .map((kind) => ({ ...kind, listKind: `${kind.kind}List` })),
    ...others
      .filter((other) => other.spec.group === group)
      .flatMap((other) => other.status?.acceptedNames ?? []),
  ];
  const problem = conflictOf(names, taken);
  const accepted = problem === undefined ? names : crd.status?.acceptedNames;
  const wasEstablished = conditionOf(crd, "Established")?.status === "True";
  let status: CustomResourceDefinitionStatus = {
    ...crd.status,
    acceptedNames: accepted ?? { plural: "", kind: "" },
  };
  status = withCondition(status, problem ?? NO_CONFLICT, time);
  if (problem === undefined) status = withCondition(status, ESTABLISHED, time);
  else if (!wasEstablished) status = withCondition(status, NOT_ACCEPTED, time);
  return { ...crd, status };
}

/** The definition as its kind is served: under the names that were accepted. */
export function asServed(crd: CustomResourceDefinition): CustomResourceDefinition | undefined {
  const names = crd.status?.acceptedNames;
  if (conditionOf(crd, "Established")?.status !== "True" || names === undefined) return undefined;
  return { ...crd, spec: { ...crd.spec, names } };
}

/** Its deletion begins. */
export function withDeletionBegun(
  crd: CustomResourceDefinition,
  time: string,
): CustomResourceDefinition {
  const finalizers = crd.metadata.finalizers ?? [];
  return {
    ...crd,
    metadata: {
      ...crd.metadata,
      finalizers: finalizers.includes(CLEANUP_FINALIZER)
        ? finalizers
        : [...finalizers, CLEANUP_FINALIZER],
    },
    status: withCondition(crd.status ?? {}, DELETION_PENDING, time),
  };
}

/** The objects of its kind are being deleted. */
export function withDeletionInProgress(
  crd: CustomResourceDefinition,
  time: string,
): CustomResourceDefinition {
  return { ...crd, status: withCondition(crd.status ?? {}, DELETION_IN_PROGRESS, time) };
}

export function isDeletionInProgress(crd: CustomResourceDefinition): boolean {
  return conditionOf(crd, "Terminating")?.reason === DELETION_IN_PROGRESS.reason;
}

/** The objects of its kind are gone. */
export function withDeletionCompleted(
  crd: CustomResourceDefinition,
  time: string,
): CustomResourceDefinition {
  const finalizers = crd.metadata.finalizers?.filter((one) => one !== CLEANUP_FINALIZER);
  return {
    ...crd,
    metadata: { ...crd.metadata, finalizers },
    status: withCondition(crd.status ?? {}, DELETION_COMPLETED, time),
  };
}

function withCondition(
  status: CustomResourceDefinitionStatus,
  wanted: NewCondition,
  time: string,
): CustomResourceDefinitionStatus {
  const conditions = status.conditions ?? [];
  const old = conditions.find(({ type }) => type === wanted.type);
  const lastTransitionTime = old?.status === wanted.status ? old.lastTransitionTime : time;
  const next = { ...wanted, lastTransitionTime };
  return {
    ...status,
    conditions:
      old === undefined
        ? [...conditions, next]
        : conditions.map((one) => (one === old ? next : one)),
  };
}

/** The first name that another kind has already. */
function conflictOf(
  names: CustomResourceDefinitionNames,
  taken: readonly Taken[],
): NewCondition | undefined {
  // Resources and kinds are two sorts of names: each is one within its group.
  const resources = new Set(
    taken.flatMap(({ plural, singular = "", shortNames = [] }) => [
      plural,
      singular,
      ...shortNames,
    ]),
  );
  const kinds = new Set(taken.flatMap(({ kind, listKind = "" }) => [kind, listKind]));
  resources.delete("");
  kinds.delete("");
  const checks: readonly (readonly [string, string, ReadonlySet<string>])[] = [
    ["Plural", names.plural, resources],
    ["Singular", names.singular ?? "", resources],
    ...(names.shortNames ?? []).map((name) => ["ShortNames", name, resources] as const),
    ["Kind", names.kind, kinds],
    ["ListKind", names.listKind ?? "", kinds],
  ];
  const found = checks.find(([, name, all]) => all.has(name));
  if (found === undefined) return undefined;
  const [which, name] = found;
  const message = `${JSON.stringify(name)} is already in use`;
  return { type: "NamesAccepted", status: "False", reason: `${which}Conflict`, message };
}

const NO_CONFLICT = {
  type: "NamesAccepted",
  status: "True",
  reason: "NoConflicts",
  message: "no conflicts found",
} as const;
const ESTABLISHED = {
  type: "Established",
  status: "True",
  reason: "InitialNamesAccepted",
  message: "the initial names have been accepted",
} as const;
const NOT_ACCEPTED = {
  type: "Established",
  status: "False",
  reason: "NotAccepted",
  message: "not all names are accepted",
} as const;
const DELETION_PENDING = {
  type: "Terminating",
  status: "True",
  reason: "InstanceDeletionPending",
  message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
} as const;
const DELETION_IN_PROGRESS = {
  type: "Terminating",
  status: "True",
  reason: "InstanceDeletionInProgress",
  message: "CustomResource deletion is in progress",
} as const;
const DELETION_COMPLETED = {
  type: "Terminating",
  status: "False",
  reason: "InstanceDeletionCompleted",
  message: "removed all instances",
} as const;
