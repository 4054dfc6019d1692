import type { Namespace } from "../../api/v1/namespace.ts";

type Condition = NonNullable<NonNullable<Namespace["status"]>["conditions"]>[number];

/** What is left of one kind in a namespace that is being emptied. */
export interface Remaining {
  readonly group: string;
  readonly plural: string;
  readonly count: number;
  /** How many of them have each finalizer. */
  readonly finalizers: ReadonlyMap<string, number>;
}

export interface TerminationObserved {
  readonly conditions: readonly Condition[];
  /** What could not be found out: errors of asking which kinds there are. */
  readonly discoveryErrors: readonly string[];
  /** Errors of deleting. */
  readonly deletionErrors: readonly string[];
  readonly remaining: readonly Remaining[];
  /** RFC 3339. */
  readonly now: string;
}

interface Finding {
  readonly isTrue: boolean;
  readonly reason: string;
  readonly message: string;
}

/**
 * What a Namespace's status says about its deletion; undefined when it says that already. Types, reasons and
 * texts are upstream's (`namespace/deletion/status_condition_utils.go`); others' conditions stay.
 */
export function planTerminationConditions(
  observed: TerminationObserved,
): readonly Condition[] | undefined {
  const { conditions, now } = observed;
  const findings = findingsOf(observed);
  const isSame = (type: string, { isTrue, reason, message }: Finding): boolean =>
    conditions.some(
      (one) =>
        one.type === type &&
        one.status === statusOf(isTrue) &&
        one.reason === reason &&
        one.message === message,
    );
  if (findings.every(([type, finding]) => isSame(type, finding))) return undefined;
  const own = new Set(findings.map(([type]) => type));
  return [
    ...conditions.filter(({ type }) => !own.has(type)),
    ...findings.map(([type, { isTrue, reason, message }]) => {
      const status = statusOf(isTrue);
      const before = conditions.find((one) => one.type === type);
      const since = before?.status === status ? before.lastTransitionTime : undefined;
      return { type, status, lastTransitionTime: since ?? now, reason, message };
    }),
  ];
}

function findingsOf(observed: TerminationObserved): readonly (readonly [string, Finding])[] {
  const { discoveryErrors, deletionErrors, remaining } = observed;
  const finalizers = new Map<string, number>();
  for (const { finalizers: held } of remaining) {
    for (const [name, count] of held) finalizers.set(name, (finalizers.get(name) ?? 0) + count);
  }
  const undiscovered = `Discovery failed for some groups, ${String(discoveryErrors.length)} failing: ${aggregate(discoveryErrors)}`;
  const undeleted = `Failed to delete all resource types, ${String(deletionErrors.length)} remaining: ${aggregate(deletionErrors)}`;
  const instances = remaining
    .map(({ plural, group, count }) => `${plural}.${group} has ${String(count)} resource instances`)
    .toSorted();
  const holders = [...finalizers]
    .map(([name, count]) => `${name} in ${String(count)} resource instances`)
    .toSorted();
  return [
    [
      "NamespaceDeletionDiscoveryFailure",
      discoveryErrors.length > 0
        ? failing("DiscoveryFailed", undiscovered)
        : fine("ResourcesDiscovered", "All resources successfully discovered"),
    ],
    [
      // Every kind that we know has a version that parses.
      "NamespaceDeletionGroupVersionParsingFailure",
      fine("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    ],
    [
      "NamespaceDeletionContentFailure",
      deletionErrors.length > 0
        ? failing("ContentDeletionFailed", undeleted)
        : fine(
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
          ),
    ],
    [
      "NamespaceContentRemaining",
      instances.length > 0
        ? failing("SomeResourcesRemain", `Some resources are remaining: ${instances.join(", ")}`)
        : fine("ContentRemoved", "All content successfully removed"),
    ],
    [
      "NamespaceFinalizersRemaining",
      holders.length > 0
        ? failing(
            "SomeFinalizersRemain",
            `Some content in the namespace has finalizers remaining: ${holders.join(", ")}`,
          )
        : fine("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    ],
  ];
}

const failing = (reason: string, message: string): Finding => ({ isTrue: true, reason, message });
const fine = (reason: string, message: string): Finding => ({ isTrue: false, reason, message });

function statusOf(isTrue: boolean): string {
  return isTrue ? "True" : "False";
}

/** As Go prints several errors. */
function aggregate(errors: readonly string[]): string {
  const [first = "", ...others] = [...new Set(errors)].toSorted();
  return others.length === 0 ? first : `[${[first, ...others].join(", ")}]`;
}
