import type { FieldError } from "../api/machinery/field-error.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { User } from "./exchange.ts";
import type { Step } from "./registry.ts";

/** What a hook reserved for a write; ends with the write. */
export interface Admitted {
  readonly object: KubernetesObject;
  /** Frees what was reserved; what was committed is in the cache by then. Called once, on every way out. */
  release(): void;
}

/**
 * What a kind needs beyond its pure strategy, because it depends on other objects. Synchronous, so that no
 * other write comes between its look at the state and its reservation.
 */
export interface WriteHook {
  /** Between defaults and preparation. @throws StatusError to refuse. */
  admit?(object: KubernetesObject, old: KubernetesObject | undefined, dryRun: boolean): Admitted;
  /** Why this object may not be deleted at all; undefined: it may. */
  refuseDeletion?(object: KubernetesObject): string | undefined;
  /** Objects that go in the same commit when this one does. */
  alsoDeleted?(object: KubernetesObject): readonly Step[];
  /** Takes back errors that do not hold for this user, or for what was there before. */
  filterErrors?(
    errors: readonly FieldError[],
    user: User,
    old: KubernetesObject | undefined,
  ): readonly FieldError[];
}
