import { compareValues } from "./compare.ts";
import type { Comparison } from "./compare.ts";
import { capUpdaters, isSameOwner } from "./owners.ts";
import type { Owner } from "./owners.ts";
import { EMPTY_SET, difference, differenceBelow, isEmptySet, union } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import type { RecordShape, Shape } from "./shape.ts";

/** A request's writer and what it may write at all. */
export interface Writing {
  readonly shape: Shape;
  readonly apiVersion: string;
  readonly manager: string;
  /** "" for the object itself. */
  readonly subresource: string;
  /** What this way of writing does not reach, such as the status: nobody comes to own it that way. */
  readonly ignored: PathSet;
  /** RFC 3339, seconds. */
  readonly time: string;
}

const LEAF = EMPTY_SET;

/** Fields that identify an object or are the server's own: nobody's (upstream `stripmeta.go`). */
const NOBODYS: PathSet = {
  "f:apiVersion": LEAF,
  "f:kind": LEAF,
  "f:metadata": {
    ".": LEAF,
    "f:clusterName": LEAF,
    "f:creationTimestamp": LEAF,
    "f:generation": LEAF,
    "f:managedFields": LEAF,
    "f:name": LEAF,
    "f:namespace": LEAF,
    "f:resourceVersion": LEAF,
    "f:selfLink": LEAF,
    "f:uid": LEAF,
  },
};

export function withoutNobodys(set: PathSet): PathSet {
  return difference(set, NOBODYS);
}

/** What a write changes, of that which it reaches. */
export function compareFor(
  { shape, ignored }: Pick<Writing, "shape" | "ignored">,
  live: unknown,
  next: unknown,
): Comparison {
  const { added, modified, removed } = compareValues(shape, live, next);
  return {
    added: differenceBelow(added, ignored),
    modified: differenceBelow(modified, ignored),
    removed: differenceBelow(removed, ignored),
  };
}

/** The owners without what a change took from them. */
export function dispossessed(
  owners: readonly Owner[],
  { added, modified, removed }: Comparison,
): readonly Owner[] {
  const taken = union(union(added, modified), removed);
  if (isEmptySet(taken)) return owners;
  return owners.flatMap((owner) => {
    const fields = difference(owner.fields, taken);
    if (fields === owner.fields) return [owner];
    return isEmptySet(fields) ? [] : [{ ...owner, fields }];
  });
}

/**
 * Who owns what after a write that is not an apply: what it changed belongs to its writer alone.
 * An object that nobody owns anything of, as after a reset of its managedFields, stays so until it is applied.
 * @param live the object before, without its managedFields; undefined: it is being created.
 */
export function recordUpdate(
  writing: Writing,
  live: unknown,
  next: unknown,
  owners: readonly Owner[],
): readonly Owner[] {
  if (live !== undefined && owners.length === 0) return owners;
  const change = compareFor(writing, live ?? emptyObject(writing.shape), next);
  const fields = withoutNobodys(union(change.added, change.modified));
  if (isEmptySet(fields)) return dispossessed(owners, change);
  const { manager, apiVersion, subresource, time } = writing;
  const own: Owner = { manager, operation: "Update", apiVersion, subresource, time, fields };
  const before = owners.find((one) => isSameOwner(one, own));
  if (before === undefined) return capUpdaters([...dispossessed(owners, change), own]);
  // Who writes the same fields again and again keeps the very same set.
  const joined = { ...own, fields: union(difference(before.fields, change.removed), fields) };
  const others = owners.filter((one) => one !== before);
  return [...dispossessed(others, change), joined];
}

// Derived from schemas, which never change, and held only as long as they are: not state, only haste.
const empties = new WeakMap<RecordShape, object>();

/**
 * An object with the parts that are always there and nothing in them: what a new object is compared with, so
 * that its creator owns what is in `spec`, not `spec` itself.
 */
function emptyObject(shape: Shape): object {
  if (shape.kind !== "record") return {};
  const known = empties.get(shape);
  if (known !== undefined) return known;
  const empty: Record<string, unknown> = {};
  for (const [name, member] of shape.members) {
    if (!member.isPresent || member.shape.kind === "scalar") continue;
    empty[name] = member.shape.kind === "record" ? emptyObject(member.shape) : null;
  }
  empties.set(shape, empty);
  return empty;
}
