import { getOwn, isJsonObject, setOwn } from "./json.ts";
import { resolved } from "./json-fields.ts";
import type { SchemaType } from "./schema.ts";

/** The key whose value says what to do with the object that holds it: replace, delete or merge. */
export const DIRECTIVE = "$patch";

/** A patch breaks the rules of strategic merge; its message is for the caller. */
export class PatchFormatError extends Error {}

/** The merge key of a list type: "" for sets of scalars, undefined for lists that are replaced. */
export function mergeKeyOf(type: SchemaType | undefined): string | undefined {
  const actual = type === undefined ? undefined : resolved(type);
  return actual?.kind === "list" ? actual.mergeKey : undefined;
}

/** A value of the patch as it looks where the original has none: without directives and nulls. */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => getDirective(item) === undefined).map(withoutDirectives);
  }
  if (!isJsonObject(value)) return value;
  if (getDirective(value) === "delete") return undefined;
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (isDirectiveKey(key) || value[key] === null) continue;
    const inner = withoutDirectives(value[key]);
    if (inner !== undefined) setOwn(result, key, inner);
  }
  return result;
}

function getDirective(value: unknown): unknown {
  return isJsonObject(value) ? getOwn(value, DIRECTIVE) : undefined;
}

function isDirectiveKey(key: string): boolean {
  return /^\$(patch$|retainKeys$|setElementOrder\/|deleteFromPrimitiveList\/)/.test(key);
}

/**
 * Arranges a merged list. Elements that `wanted` names follow its order; the others, which only the server
 * knows, keep their order and stand before the first wanted element that the server had after them.
 * So an element new to the server comes first when `wanted` is the patch itself, as upstream has it.
 */
export function inOrder(
  merged: readonly unknown[],
  wanted: readonly unknown[],
  server: readonly unknown[],
  mergeKey: string,
): readonly unknown[] {
  const wantedRank = ranks(wanted, mergeKey);
  const serverRank = ranks(server, mergeKey);
  const rankIn = (rank: ReadonlyMap<unknown, number>, item: unknown): number =>
    rank.get(identity(item, mergeKey)) ?? Infinity;
  const sorted = (items: readonly unknown[], rank: ReadonlyMap<unknown, number>): unknown[] =>
    items.toSorted((a, b) => compare(rankIn(rank, a), rankIn(rank, b)));

  const named = sorted(
    merged.filter((item) => wantedRank.has(identity(item, mergeKey))),
    wantedRank,
  );
  const others = sorted(
    merged.filter((item) => !wantedRank.has(identity(item, mergeKey))),
    serverRank,
  );
  const result: unknown[] = [];
  let next = 0;
  for (const item of named) {
    const rank = serverRank.get(identity(item, mergeKey));
    while (rank !== undefined && next < others.length && rankIn(serverRank, others[next]) < rank) {
      result.push(others[next]);
      next++;
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

/** A plain difference would be NaN for two elements that have no rank. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function ranks(items: readonly unknown[], mergeKey: string): ReadonlyMap<unknown, number> {
  const rank = new Map<unknown, number>();
  for (const [i, item] of items.entries()) {
    const key = identity(item, mergeKey);
    if (!rank.has(key)) rank.set(key, i);
  }
  return rank;
}

function identity(item: unknown, mergeKey: string): unknown {
  return mergeKey === "" || !isJsonObject(item) ? item : String(getOwn(item, mergeKey));
}

/** Refuses a patch list whose elements are not in its `$setElementOrder` list, or in another order. */
export function checkAgainstOrder(
  patch: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string,
): void {
  const plain = patch.filter((item) => getDirective(item) === undefined);
  let next = 0;
  for (const item of order) {
    if (next < plain.length && identity(plain[next], mergeKey) === identity(item, mergeKey)) next++;
  }
  if (next < plain.length) {
    throw new PatchFormatError(
      `The order in patch list:\n${JSON.stringify(patch)}\n doesn't match $setElementOrder list:\n${JSON.stringify(order)}\n`,
    );
  }
}
