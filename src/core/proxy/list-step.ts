/** What left a list, what came, and what took the place of another that stands for the same thing. */
export interface ListChange<T> {
  readonly removed: readonly T[];
  readonly added: readonly T[];
  readonly replaced: readonly T[];
}

interface Step extends ListChange<unknown> {
  readonly from: Identity;
}

/** Stands for a list, and does not keep it. */
type Identity = Readonly<Record<never, never>>;

/**
 * How a list came from another, for as long as it lives: in a Service of thousands of endpoints the difference is
 * known where it arises, and need not be found again. Answers do not depend on it.
 */
const STEPS = new WeakMap<readonly unknown[], Step>();
/**
 * A step names the list before it by this, and not by a WeakRef: a collection of young objects takes those for strong,
 * and each list would keep the one before it, back to the first.
 */
const IDENTITIES = new WeakMap<readonly unknown[], Identity>();

/** Notes that `after` is `before` with something changed, if only in place. */
export function noteStep<T>(
  after: readonly T[],
  before: readonly T[],
  { removed, added, replaced }: ListChange<T>,
): void {
  const from = IDENTITIES.get(before) ?? {};
  IDENTITIES.set(before, from);
  STEPS.set(after, { from, removed, added, replaced });
}

/** The step from the one list to the other; undefined when it is not known. */
export function stepBetween<T>(
  before: readonly T[],
  after: readonly T[],
): ListChange<T> | undefined {
  const step = STEPS.get(after);
  if (step === undefined || step.from !== IDENTITIES.get(before)) return undefined;
  // What was noted of a list of T is of T.
  return step as ListChange<unknown> as ListChange<T>;
}
