import type { KubernetesObject, OwnerReference } from "../../api/machinery/metadata.ts";

export const FOREGROUND_FINALIZER = "foregroundDeletion";
export const ORPHAN_FINALIZER = "orphan";

/**
 * What is known of an owner. `unknown`: of a kind that is not served, or in a namespace where the object itself is
 * in none, so nobody can tell.
 */
export type OwnerState =
  | { readonly kind: "there"; readonly isWaiting: boolean }
  | { readonly kind: "gone" }
  | { readonly kind: "unknown" };

export interface GarbageObserved {
  readonly object: KubernetesObject;
  readonly ownerOf: (reference: OwnerReference) => OwnerState;
  /** Objects that name this one as an owner. */
  readonly dependents: readonly KubernetesObject[];
}

export type GarbagePlan =
  | { readonly kind: "nothing" }
  /** Take the owner's reference out of its dependents, then let the owner go. */
  | { readonly kind: "orphan"; readonly dependents: readonly KubernetesObject[] }
  /** Delete dependents, and wait for those that block; none left: let the owner go. */
  | {
      readonly kind: "foreground";
      readonly delete: readonly KubernetesObject[];
      readonly isDone: boolean;
    }
  /** Owners that are gone or going are forgotten, since others are there. */
  | { readonly kind: "forget"; readonly uids: readonly string[] }
  | {
      readonly kind: "delete";
      readonly policy: "Background" | "Foreground" | "Orphan";
      /** It is owned in a circle: it must no longer hold up its owners' ends, or none would ever end. */
      readonly isCircular: boolean;
    };

/** What the garbage collector does about one object. Source: upstream `garbagecollector.go:attemptToDeleteItem`. */
export function planGarbage({ object, ownerOf, dependents }: GarbageObserved): GarbagePlan {
  const { metadata } = object;
  const finalizers = metadata.finalizers ?? [];
  if (metadata.deletionTimestamp !== undefined) {
    if (finalizers.includes(ORPHAN_FINALIZER)) return { kind: "orphan", dependents };
    if (!finalizers.includes(FOREGROUND_FINALIZER)) return { kind: "nothing" };
    const uid = metadata.uid ?? "";
    return {
      kind: "foreground",
      delete: dependents.filter((one) => one.metadata.deletionTimestamp === undefined),
      isDone: !dependents.some((one) => blocks(one, uid)),
    };
  }
  const references = metadata.ownerReferences ?? [];
  if (references.length === 0) return { kind: "nothing" };
  const states = references.map((reference) => ({ reference, state: ownerOf(reference) }));
  if (states.some(({ state }) => state.kind === "unknown")) return { kind: "nothing" };
  const lost = states.filter(
    ({ state }) => state.kind === "gone" || (state.kind === "there" && state.isWaiting),
  );
  if (lost.length === 0) return { kind: "nothing" };
  if (lost.length < states.length) {
    return { kind: "forget", uids: lost.map(({ reference }) => reference.uid) };
  }
  const isWaited = lost.some(({ state }) => state.kind === "there");
  if (isWaited && dependents.length > 0) {
    return { kind: "delete", policy: "Foreground", isCircular: dependents.some(isWaiting) };
  }
  const policy = finalizers.includes(ORPHAN_FINALIZER)
    ? "Orphan"
    : finalizers.includes(FOREGROUND_FINALIZER)
      ? "Foreground"
      : "Background";
  return { kind: "delete", policy, isCircular: false };
}

/** It is being deleted and waits for its dependents. */
export function isWaiting({ metadata }: KubernetesObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers ?? []).includes(FOREGROUND_FINALIZER)
  );
}

function blocks({ metadata }: KubernetesObject, uid: string): boolean {
  return (metadata.ownerReferences ?? []).some(
    (reference) => reference.uid === uid && reference.blockOwnerDeletion === true,
  );
}
