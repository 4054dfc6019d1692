/**
 * A set of paths into an object, in the very form that `fieldsV1` has on the wire: a trie whose keys are path
 * elements (see path-element.ts). A node without keys is a member; one with keys is a member if it has the key
 * `.`; the root is never a member. As the wire form is the working form, ownership that is stored with an object
 * is read and written without a codec, and sets share what they have in common. Sets never change.
 */
export interface PathSet {
  readonly [element: string]: PathSet;
}

/** Marks a node with others below it as a member. */
const SELF = ".";

/** As root: no paths. As node: a member with nothing below it. */
export const EMPTY_SET: PathSet = {};

export function isEmptySet(set: PathSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether a node below the root stands for a path of the set itself, not only for longer ones. */
export function isMember(node: PathSet | undefined): boolean {
  return node !== undefined && (isEmptySet(node) || SELF in node);
}

export function union(a: PathSet, b: PathSet): PathSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  let result: Record<string, PathSet> | undefined;
  for (const element of Object.keys(b)) {
    const mine = a[element];
    // Of a key of b there is a value.
    const theirs = b[element] ?? EMPTY_SET;
    const next = mine === undefined ? theirs : unionOfNodes(mine, theirs);
    if (next !== mine) (result ??= { ...a })[element] = next;
  }
  return result ?? a;
}

function unionOfNodes(a: PathSet, b: PathSet): PathSet {
  if (isEmptySet(a)) return asMember(b);
  if (isEmptySet(b)) return asMember(a);
  return union(a, b);
}

/** The node made a member, whatever is below it. */
export function asMember(node: PathSet): PathSet {
  return isMember(node) ? node : { [SELF]: EMPTY_SET, ...node };
}

/** What is left of a node: whether it is a member, and what is below it. */
function nodeOf(isIn: boolean, below: Readonly<Record<string, PathSet>>): PathSet | undefined {
  if (isEmptySet(below)) return isIn ? EMPTY_SET : undefined;
  return isIn ? { [SELF]: EMPTY_SET, ...below } : below;
}

/** The paths of `a` that are not in `b`; paths below those of `b` stay. */
export function difference(a: PathSet, b: PathSet): PathSet {
  return minus(a, b, false);
}

/** The paths of `a` that are neither in `b` nor below one of its paths. */
export function differenceBelow(a: PathSet, b: PathSet): PathSet {
  return minus(a, b, true);
}

function minus(a: PathSet, b: PathSet, isDeep: boolean): PathSet {
  if (isEmptySet(b) || isEmptySet(a)) return a;
  let result: Record<string, PathSet> | undefined;
  for (const element of Object.keys(a)) {
    const mine = a[element];
    const theirs = b[element];
    if (element === SELF || mine === undefined || theirs === undefined) continue;
    const isCovered = isMember(theirs);
    const next =
      isDeep && isCovered
        ? undefined
        : nodeOf(isMember(mine) && !isCovered, below(minus(mine, theirs, isDeep)));
    if (next === mine) continue;
    result ??= { ...a };
    if (next === undefined) delete result[element];
    else result[element] = next;
  }
  return result ?? a;
}

export function intersection(a: PathSet, b: PathSet): PathSet {
  if (a === b) return a;
  const result: Record<string, PathSet> = {};
  for (const element of Object.keys(a)) {
    const mine = a[element];
    const theirs = b[element];
    if (element === SELF || mine === undefined || theirs === undefined) continue;
    const next = nodeOf(isMember(mine) && isMember(theirs), intersection(mine, theirs));
    if (next !== undefined) result[element] = next;
  }
  return result;
}

function below(node: PathSet): PathSet {
  if (!(SELF in node)) return node;
  const { [SELF]: _self, ...rest } = node;
  return rest;
}

/** All paths of a set, each as its elements, parents before what is below them. */
export function pathsOf(set: PathSet): readonly (readonly string[])[] {
  const found: string[][] = [];
  const walk = (node: PathSet, path: readonly string[]) => {
    for (const element of Object.keys(node).toSorted()) {
      if (element === SELF) continue;
      const child = node[element] ?? EMPTY_SET;
      const at = [...path, element];
      if (isMember(child)) found.push(at);
      walk(child, at);
    }
  };
  walk(set, []);
  return found;
}

// What is known of sets that never change, and held only as long as they are: not state, only haste.
const known = new WeakSet<PathSet>();

/** The set with its keys in order at every level, so that equal sets have equal JSON. */
export function sortedSet(set: PathSet): PathSet {
  if (known.has(set)) return set;
  const sorted = sortedNode(set);
  known.add(sorted);
  return sorted;
}

function sortedNode(set: PathSet): PathSet {
  const elements = Object.keys(set);
  let isSorted = isInOrder(elements);
  const result: Record<string, PathSet> = {};
  for (const element of isSorted ? elements : elements.toSorted()) {
    const child = set[element] ?? EMPTY_SET;
    const sorted = child === EMPTY_SET ? child : sortedNode(child);
    if (sorted !== child) isSorted = false;
    result[element] = sorted;
  }
  return isSorted ? set : result;
}

function isInOrder(elements: readonly string[]): boolean {
  for (let i = 1; i < elements.length; i++) {
    if ((elements[i - 1] ?? "") > (elements[i] ?? "")) return false;
  }
  return true;
}
