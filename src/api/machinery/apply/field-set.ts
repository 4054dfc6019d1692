import { isJsonObject } from "../json.ts";
import { EMPTY_SET, asMember, isEmptySet, isMember } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import { itemElementOf, memberOf, shapeFor } from "./shape.ts";
import type { ListShape, RecordShape, Shape } from "./shape.ts";

/**
 * The paths that an object sets, as an applier owns them: leaves, atomic values, empty objects, and items of
 * lists; not the objects and lists around them (structured-merge-diff `typed/tofieldset.go`).
 */
export function fieldSetOf(shape: Shape, value: unknown): PathSet {
  return nodeOf(shape, value) ?? EMPTY_SET;
}

/** What is at and below a value; undefined: nothing. */
function nodeOf(type: Shape, value: unknown): PathSet | undefined {
  const shape = shapeFor(type, value);
  if (shape.kind === "scalar" || shape.atomic) return EMPTY_SET;
  if (shape.kind === "list") return Array.isArray(value) ? nodeOfItems(shape, value) : undefined;
  return isJsonObject(value) ? nodeOfMembers(shape, value) : undefined;
}

function nodeOfItems(shape: ListShape, items: readonly unknown[]): PathSet | undefined {
  if (items.length === 0) return undefined;
  const result: Record<string, PathSet> = {};
  for (const item of items) {
    result[itemElementOf(shape, item)] = asMember(nodeOf(shape.element, item) ?? EMPTY_SET);
  }
  return result;
}

function nodeOfMembers(
  shape: RecordShape,
  object: Readonly<Record<string, unknown>>,
): PathSet | undefined {
  let result: Record<string, PathSet> | undefined;
  for (const key of Object.keys(object)) {
    const value = object[key];
    const member = memberOf(shape, key);
    if (member === undefined || value === undefined) continue;
    const node = nodeOf(member.shape, value);
    const isBare = value === null || (isJsonObject(value) && Object.keys(value).length === 0);
    const isOwned = isBare || !shape.members.has(key);
    const next = isOwned ? asMember(node ?? EMPTY_SET) : node;
    if (next !== undefined) (result ??= {})[member.element] = next;
  }
  return result;
}

/**
 * A value and all that is in it, as whoever brings or takes it does: each object and each list too. Items of one
 * name count as one value.
 */
export function wholeNodeOf(type: Shape, value: unknown): PathSet {
  const shape = shapeFor(type, value);
  if (shape.kind === "scalar" || shape.atomic) return EMPTY_SET;
  const result: Record<string, PathSet> = {};
  if (shape.kind === "list") {
    for (const item of Array.isArray(value) ? value : []) {
      const element = itemElementOf(shape, item);
      const isDouble = element in result;
      result[element] = isDouble ? EMPTY_SET : wholeNodeOf(shape.element, item);
    }
  } else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const member = memberOf(shape, key);
      const inner = value[key];
      if (member === undefined || inner === undefined) continue;
      result[member.element] = wholeNodeOf(member.shape, inner);
    }
  }
  return isEmptySet(result) ? EMPTY_SET : asMember(result);
}

/**
 * The set with every declared field on the way to a path made a member too, so that whole objects and lists can
 * be taken away with what is in them.
 */
export function withNamedFields(type: Shape | undefined, set: PathSet): PathSet {
  const result: Record<string, PathSet> = {};
  for (const element of Object.keys(set)) {
    const child = set[element] ?? EMPTY_SET;
    if (isEmptySet(child)) {
      result[element] = child;
      continue;
    }
    const { shape, isNamed } = belowElement(type, element);
    const deeper = withNamedFields(shape, child);
    result[element] = isNamed ? asMember(deeper) : deeper;
  }
  return result;
}

function belowElement(
  type: Shape | undefined,
  element: string,
): { readonly shape: Shape | undefined; readonly isNamed: boolean } {
  if (type?.kind === "list") return { shape: type.element, isNamed: false };
  if (type?.kind !== "record") return { shape: type, isNamed: false };
  const name = element.slice(2);
  return { shape: memberOf(type, name)?.shape, isNamed: type.members.has(name) };
}

/** `value` without what is at the paths of `set`; undefined when nothing is left. */
export function withoutPaths(type: Shape, value: unknown, set: PathSet): unknown {
  const shape = shapeFor(type, value);
  // Of an atomic value nothing can be taken but all of it.
  if (shape.kind === "scalar") return value;
  if (shape.atomic) return undefined;
  if (shape.kind === "list") {
    if (!Array.isArray(value)) return undefined;
    const kept = value.flatMap((item: unknown) => {
      const rest = withoutMember(shape.element, item, set[itemElementOf(shape, item)]);
      return rest === undefined ? [] : [rest];
    });
    return kept.length === 0 ? undefined : kept;
  }
  if (!isJsonObject(value)) return undefined;
  const kept = Object.keys(value).flatMap((key): [string, unknown][] => {
    const member = memberOf(shape, key);
    const old = value[key];
    const rest = member ? withoutMember(member.shape, old, set[member.element]) : old;
    return rest === undefined ? [] : [[key, rest]];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function withoutMember(shape: Shape, value: unknown, node: PathSet | undefined): unknown {
  if (node === undefined) return value;
  return isMember(node) ? undefined : withoutPaths(shape, value, node);
}
