import type { FieldError } from "../api/machinery/field-error.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { User } from "./exchange.ts";
import type { Claim, Step } from "./registry.ts";

/** What goes into the same commit as a write: all of it or none. */
export interface Companions {
  /** Changes of other objects. */
  readonly steps: readonly Step[];
  /** Things without objects, such as node ports, that the write takes; somebody else's makes a conflict. */
  readonly takes: readonly Claim[];
  /** Such things that it gives back. */
  readonly frees: readonly Claim[];
}

export const NO_COMPANIONS: Companions = { steps: [], takes: [], frees: [] };

/** What a hook reserved for a write; ends with the write. */
export interface Admitted {
  readonly object: KubernetesObject;
  readonly companions: Companions;
  /** Frees what was reserved; what was committed is in the cache by then. Called once, on every way out. */
  release(): void;
}

/**
 * What a kind needs beyond its pure strategy, because it depends on other objects. Synchronous, so that no
 * other write comes between its look at the state and its reservation.
 */
export interface WriteHook {
  /** What a new object waits for, once its namespace is there; undefined: nothing. Never rejects. */
  beforeCreate?(object: KubernetesObject): Promise<void> | undefined;
  /** Between defaults and preparation. @throws StatusError to refuse. */
  admit?(object: KubernetesObject, old: KubernetesObject | undefined, dryRun: boolean): Admitted;
  /** Why this object may not be deleted at all; undefined: it may. */
  refuseDeletion?(object: KubernetesObject): string | undefined;
  /** What the object is from the moment on that its deletion begins; called once. */
  beginDeletion?(object: KubernetesObject): KubernetesObject;
  /** What changes in the same commit when this object, as it was stored, goes. */
  alsoDeleted?(object: KubernetesObject): Companions;
  /** What is wrong beside what the kind's own validation finds, since it depends on the user. */
  validate?(
    object: KubernetesObject,
    old: KubernetesObject | undefined,
    user: User,
  ): readonly FieldError[];
}
