import { isJsonObject } from "../json.ts";
import { isSame } from "./compare.ts";
import { fieldSetOf, withNamedFields, withoutPaths } from "./field-set.ts";
import { mergeValues } from "./merge.ts";
import { isSameOwner } from "./owners.ts";
import type { Owner } from "./owners.ts";
import { compareFor, dispossessed, recordUpdate, withoutNobodys } from "./ownership.ts";
import type { Writing } from "./ownership.ts";
import {
  EMPTY_SET,
  difference,
  differenceBelow,
  intersection,
  isEmptySet,
  pathsOf,
  union,
} from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import type { Shape } from "./shape.ts";

/** Another owner has set the field to something else. */
export interface Conflict {
  readonly owner: Owner;
  /** Elements as in a path set. */
  readonly path: readonly string[];
}

export type Applied =
  | {
      readonly kind: "applied";
      /** Not decoded yet: nulls and zeros of the configuration are in it. */
      readonly object: unknown;
      readonly owners: readonly Owner[];
    }
  | { readonly kind: "conflicts"; readonly conflicts: readonly Conflict[] };

export interface ApplyRequest extends Writing {
  /** Takes fields from their owners instead of failing. */
  readonly force: boolean;
  /** Conflicts that do not count, such as those with an apply that the client itself did. */
  readonly allowed?: PathSet;
}

/** Who owns what in an object that was there before its first apply. */
const BEFORE_FIRST_APPLY = "before-first-apply";

/**
 * Server-side apply: the live object with the configuration laid over it, and without what the applier set last
 * time, does not set any more, and nobody else owns (KEP-555; structured-merge-diff `merge/update.go`).
 * @param live without managedFields; undefined: it does not exist.
 * @param config from readConfig.
 */
export function applyConfig(
  request: ApplyRequest,
  live: unknown,
  config: unknown,
  owners: readonly Owner[],
): Applied {
  const { shape, manager, apiVersion, subresource, ignored, time } = request;
  const set = differenceBelow(fieldSetOf(shape, config), ignored);
  const own: Owner = { manager, operation: "Apply", apiVersion, subresource, time, fields: set };
  if (live === undefined)
    return { kind: "applied", object: config, owners: [stripped(own)].flat() };
  const known =
    owners.length > 0
      ? owners
      : recordUpdate({ ...request, manager: BEFORE_FIRST_APPLY }, undefined, live, owners);
  const last = known.find((one) => isSameOwner(one, own));
  const others = known.filter((one) => one !== last);
  const merged = mergeValues(shape, live, config);
  const object =
    last === undefined
      ? merged
      : prune(shape, merged, last.fields, [...others.map((one) => one.fields), set]);
  const change = compareFor(request, live, object);
  const conflicts = request.force ? [] : conflictsOf(others, union(change.added, change.modified));
  const counted = withoutAllowed(conflicts, request.allowed ?? EMPTY_SET);
  if (counted.length > 0) return { kind: "conflicts", conflicts: counted };
  const isRepeated = isSame(change) && last !== undefined && isEqualSet(last.fields, set);
  const kept = isRepeated ? last : stripped(own);
  return { kind: "applied", object, owners: [...dispossessed(others, change), kept].flat() };
}

/** No entry for who owns nothing. */
function stripped(owner: Owner): Owner | readonly Owner[] {
  const fields = withoutNobodys(owner.fields);
  return isEmptySet(fields) ? [] : { ...owner, fields };
}

function isEqualSet(last: PathSet, set: PathSet): boolean {
  const now = withoutNobodys(set);
  return isEmptySet(difference(last, now)) && isEmptySet(difference(now, last));
}

function conflictsOf(others: readonly Owner[], changed: PathSet): readonly Conflict[] {
  return others.flatMap((owner) =>
    pathsOf(intersection(owner.fields, changed)).map((path) => ({ owner, path })),
  );
}

function withoutAllowed(conflicts: readonly Conflict[], allowed: PathSet): readonly Conflict[] {
  if (isEmptySet(allowed)) return conflicts;
  const isAllowed = (path: readonly string[]) => {
    let node: PathSet | undefined = allowed;
    for (const element of path) node = node?.[element];
    return node !== undefined && (isEmptySet(node) || "." in node);
  };
  return conflicts.filter(({ path }) => !isAllowed(path));
}

/**
 * Takes away what the applier set last time, then gives back what somebody owns, then what nobody owned that
 * only hung on what was taken away.
 */
function prune(
  shape: Shape,
  merged: unknown,
  lastSet: PathSet,
  owned: readonly PathSet[],
): unknown {
  const mine = owned.at(-1) ?? EMPTY_SET;
  if (isEmptySet(difference(lastSet, mine))) return merged;
  const named = (set: PathSet) => withNamedFields(shape, set);
  const remove = (set: PathSet) => withoutPaths(shape, merged, set) ?? {};
  const all = named(fieldSetOf(shape, merged));
  const last = named(lastSet);
  const inUse = owned.reduce((sum, set) => union(sum, named(set)), EMPTY_SET);
  const bare = remove(last);
  const withOwned = remove(difference(all, union(named(fieldSetOf(shape, bare)), inUse)));
  const gone = difference(all, named(fieldSetOf(shape, withOwned)));
  return remove(intersection(gone, last));
}

/** An object without what is kept about it, as ownership sees it. */
export function withoutManagedFields(object: unknown): unknown {
  if (!isJsonObject(object) || !isJsonObject(object["metadata"])) return object;
  const { managedFields: _, ...metadata } = object["metadata"];
  return { ...object, metadata };
}
