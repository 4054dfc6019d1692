import { isJsonObject } from "../json.ts";
import { EMPTY_SET, PathSetBuilder, isEmptySet } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import { itemElementOf, memberOf, shapeFor } from "./shape.ts";
import type { RecordShape, Shape } from "./shape.ts";

/**
 * The paths that an object sets, as an applier owns them: leaves, atomic values, empty objects, and items of
 * lists; not the objects and lists around them (structured-merge-diff `typed/tofieldset.go`).
 */
export function fieldSetOf(shape: Shape, value: unknown): PathSet {
  const set = new PathSetBuilder();
  collect(shape, value, [], set);
  return set.build();
}

function collect(type: Shape, value: unknown, path: string[], set: PathSetBuilder): void {
  const shape = shapeFor(type, value);
  if (shape.kind === "scalar" || shape.atomic) {
    set.insert(path);
    return;
  }
  if (shape.kind === "list") {
    for (const item of Array.isArray(value) ? value : []) {
      path.push(itemElementOf(shape, item));
      collect(shape.element, item, path, set);
      set.insert(path);
      path.pop();
    }
    return;
  }
  if (isJsonObject(value)) collectMembers(shape, value, path, set);
}

function collectMembers(
  shape: RecordShape,
  object: Readonly<Record<string, unknown>>,
  path: string[],
  set: PathSetBuilder,
): void {
  for (const key of Object.keys(object)) {
    const value = object[key];
    const member = memberOf(shape, key);
    if (member === undefined || value === undefined) continue;
    path.push(member.element);
    collect(member.shape, value, path, set);
    const isBare = value === null || (isJsonObject(value) && Object.keys(value).length === 0);
    if (isBare || !shape.members.has(key)) set.insert(path);
    path.pop();
  }
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
    result[element] = isNamed && !("." in deeper) ? { ".": EMPTY_SET, ...deeper } : deeper;
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
  return isEmptySet(node) || "." in node ? undefined : withoutPaths(shape, value, node);
}
