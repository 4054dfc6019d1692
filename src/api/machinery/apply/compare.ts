import { deepEqual, getOwn, isJsonObject } from "../json.ts";
import { isEmptySet, PathSetBuilder } from "./path-set.ts";
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

/** Compares two values of one shape (structured-merge-diff `typed/compare.go`). */
export function compareValues(shape: Shape, a: unknown, b: unknown): Comparison {
  const walk = new Compare();
  walk.values(shape, a, b);
  return {
    added: walk.added.build(),
    modified: walk.modified.build(),
    removed: walk.removed.build(),
  };
}

class Compare {
  readonly added = new PathSetBuilder();
  readonly modified = new PathSetBuilder();
  readonly removed = new PathSetBuilder();
  readonly #path: string[] = [];

  /** `undefined` is absence; null is there, as an empty value. */
  values(type: Shape, a: unknown, b: unknown): void {
    if (Object.is(a, b)) return;
    const shape = shapeFor(type, a, b);
    switch (shape.kind) {
      case "scalar":
        return this.#leaf(a, b);
      case "list": {
        const left = Array.isArray(a) ? (a as readonly unknown[]) : [];
        const right = Array.isArray(b) ? (b as readonly unknown[]) : [];
        if (shape.atomic || left.length + right.length === 0) return this.#leaf(a, b);
        // Most lists are as they were, and telling so is cheaper than naming their items.
        if (deepEqual(left, right)) return;
        this.#items(shape, left, right);
        return this.#container(a, b);
      }
      case "record": {
        const left = isJsonObject(a) ? a : {};
        const right = isJsonObject(b) ? b : {};
        if (shape.atomic || (isEmpty(left) && isEmpty(right))) return this.#leaf(a, b);
        this.#members(shape, left, right);
        return this.#container(a, b);
      }
    }
  }

  #members(
    shape: RecordShape,
    a: Readonly<Record<string, unknown>>,
    b: Readonly<Record<string, unknown>>,
  ): void {
    for (const key of Object.keys(a)) this.#member(shape, key, a[key], getOwn(b, key));
    for (const key of Object.keys(b)) {
      if (!Object.hasOwn(a, key)) this.#member(shape, key, undefined, b[key]);
    }
  }

  #member(shape: RecordShape, key: string, a: unknown, b: unknown): void {
    if (Object.is(a, b)) return;
    const member = memberOf(shape, key);
    if (member !== undefined) this.#below(member.element, member.shape, a, b);
  }

  #items(shape: ListShape, a: readonly unknown[], b: readonly unknown[]): void {
    const left = itemsByElement(shape, a);
    const right = itemsByElement(shape, b);
    for (const element of new Set([...left.keys(), ...right.keys()])) {
      const before = left.get(element) ?? [];
      const after = right.get(element) ?? [];
      if (before.length <= 1 && after.length <= 1) {
        this.#below(element, shape.element, before[0], after[0]);
      } else if (before.length > 1 && after.length > 1) {
        if (!deepEqual(before, after)) this.#mark(this.modified, element);
      } else if (before.length > 1) {
        // Items of one name were a value of their own; now there is at most one, told apart again.
        if (after.length > 0) this.#below(element, shape.element, undefined, after[0]);
        this.#mark(this.removed, element);
      } else {
        if (before.length > 0) this.#below(element, shape.element, before[0], undefined);
        this.#mark(this.added, element);
      }
    }
  }

  #below(element: string, shape: Shape, a: unknown, b: unknown): void {
    this.#path.push(element);
    this.values(shape, a, b);
    this.#path.pop();
  }

  #mark(set: PathSetBuilder, element: string): void {
    set.insert([...this.#path, element]);
  }

  #leaf(a: unknown, b: unknown): void {
    if (a === undefined) this.added.insert(this.#path);
    else if (b === undefined) this.removed.insert(this.#path);
    else if (!deepEqual(a, b)) this.modified.insert(this.#path);
  }

  #container(a: unknown, b: unknown): void {
    if (a === undefined) this.added.insert(this.#path);
    else if (b === undefined) this.removed.insert(this.#path);
  }
}

function isEmpty(object: Readonly<Record<string, unknown>>): boolean {
  for (const _ in object) return false;
  return true;
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
