import { deepEqual, getOwn, isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { wholeNodeOf } from "./field-set.ts";
import { EMPTY_SET, isEmptySet } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import { itemElementOf, memberOf, shapeFor } from "./shape.ts";
import type { ListShape, RecordShape, Shape } from "./shape.ts";

/** What makes one object out of another. */
export interface Comparison {
  /** With everything below: of a list's new item both the item and each of its fields. */
  readonly added: PathSet;
  readonly modified: PathSet;
  readonly removed: PathSet;
}

export function isSame({ added, modified, removed }: Comparison): boolean {
  return isEmptySet(added) && isEmptySet(modified) && isEmptySet(removed);
}

/** Compares two objects of one shape (structured-merge-diff `typed/compare.go`). */
export function compareValues(shape: Shape, a: unknown, b: unknown): Comparison {
  const found = compare(shape, a, b);
  return {
    added: found?.added ?? EMPTY_SET,
    modified: found?.modified ?? EMPTY_SET,
    removed: found?.removed ?? EMPTY_SET,
  };
}

/** The nodes of a comparison at one place; absent: nothing there or below. */
type Difference = Partial<Comparison>;

/** `undefined` is absence; null is there, as an empty value. Most values are as they were: undefined. */
function compare(type: Shape, a: unknown, b: unknown): Difference | undefined {
  if (Object.is(a, b)) return undefined;
  if (a === undefined) return { added: wholeNodeOf(type, b) };
  if (b === undefined) return { removed: wholeNodeOf(type, a) };
  const shape = shapeFor(type, a, b);
  if (shape.kind === "list" && !shape.atomic) {
    const left = Array.isArray(a) ? (a as readonly unknown[]) : [];
    const right = Array.isArray(b) ? (b as readonly unknown[]) : [];
    if (left.length + right.length === 0) return compareLeaves(a, b);
    // Telling that lists are equal is cheaper than naming their items.
    return deepEqual(left, right) ? undefined : compareItems(shape, left, right);
  }
  if (shape.kind === "record" && !shape.atomic) {
    const left = isJsonObject(a) ? a : EMPTY_SET;
    const right = isJsonObject(b) ? b : EMPTY_SET;
    // Nothing and an empty object are told apart.
    if (isEmpty(left) && isEmpty(right)) return compareLeaves(a, b);
    return compareMembers(shape, left, right);
  }
  return compareLeaves(a, b);
}

function compareLeaves(a: unknown, b: unknown): Difference | undefined {
  return deepEqual(a, b) ? undefined : { modified: EMPTY_SET };
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}

/** Gathers what is below one place. */
class Gathered {
  added: Record<string, PathSet> | undefined;
  modified: Record<string, PathSet> | undefined;
  removed: Record<string, PathSet> | undefined;

  join(element: string, { added, modified, removed }: Difference): void {
    if (added !== undefined) (this.added ??= {})[element] = added;
    if (modified !== undefined) (this.modified ??= {})[element] = modified;
    if (removed !== undefined) (this.removed ??= {})[element] = removed;
  }

  get difference(): Difference | undefined {
    const { added, modified, removed } = this;
    if (added === undefined && modified === undefined && removed === undefined) return undefined;
    return {
      ...(added && { added }),
      ...(modified && { modified }),
      ...(removed && { removed }),
    };
  }
}

function compareMembers(shape: RecordShape, a: JsonObject, b: JsonObject): Difference | undefined {
  const gathered = new Gathered();
  const one = (key: string, left: unknown, right: unknown) => {
    if (Object.is(left, right)) return;
    const member = memberOf(shape, key);
    const difference = member && compare(member.shape, left, right);
    if (difference !== undefined) gathered.join(member?.element ?? "", difference);
  };
  for (const key of Object.keys(a)) one(key, a[key], getOwn(b, key));
  for (const key of Object.keys(b)) {
    if (!Object.hasOwn(a, key)) one(key, undefined, b[key]);
  }
  return gathered.difference;
}

function compareItems(
  shape: ListShape,
  a: readonly unknown[],
  b: readonly unknown[],
): Difference | undefined {
  const gathered = new Gathered();
  const left = itemsByElement(shape, a);
  const right = itemsByElement(shape, b);
  for (const element of new Set([...left.keys(), ...right.keys()])) {
    const difference = compareNamesakes(
      shape.element,
      left.get(element) ?? [],
      right.get(element) ?? [],
    );
    if (difference !== undefined) gathered.join(element, difference);
  }
  return gathered.difference;
}

/** Compares the items of one name: rarely more than one, and then they are one value together. */
function compareNamesakes(
  shape: Shape,
  before: readonly unknown[],
  after: readonly unknown[],
): Difference | undefined {
  if (before.length <= 1 && after.length <= 1) return compare(shape, before[0], after[0]);
  if (before.length > 1 && after.length > 1) {
    return deepEqual(before, after) ? undefined : { modified: EMPTY_SET };
  }
  return before.length > 1
    ? { ...compare(shape, undefined, after[0]), removed: EMPTY_SET }
    : { ...compare(shape, before[0], undefined), added: EMPTY_SET };
}

function itemsByElement(
  shape: ListShape,
  items: readonly unknown[],
): ReadonlyMap<string, readonly unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of items) {
    const element = itemElementOf(shape, item);
    const same = found.get(element);
    if (same === undefined) found.set(element, [item]);
    else same.push(item);
  }
  return found;
}
