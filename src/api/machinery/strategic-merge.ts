import { getOwn, isJsonObject, omitKeys, setOwn } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { jsonFieldsOf, resolved } from "./json-fields.ts";
import type { MessageType, SchemaType } from "./schema.ts";
import {
  DIRECTIVE,
  PatchFormatError,
  checkAgainstOrder,
  inOrder,
  mergeKeyOf,
  withoutDirectives,
} from "./strategic-merge-list.ts";

const RETAIN_KEYS = "$retainKeys";
const SET_ELEMENT_ORDER = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/";

export type StrategicMerged =
  | { readonly kind: "patched"; readonly value: JsonObject }
  /** The patch breaks the rules of its directives: 400. */
  | { readonly kind: "malformed"; readonly message: string };

/**
 * Applies a strategic merge patch: a merge patch that merges lists by the merge key of the schema and knows
 * the directives `$patch`, `$retainKeys`, `$setElementOrder/...` and `$deleteFromPrimitiveList/...`.
 * Neither argument is changed. Order of elements and wording follow apimachinery `strategicpatch.StrategicMergeMapPatch`.
 */
export function applyStrategicMerge(
  schema: MessageType,
  target: JsonObject,
  patch: unknown,
): StrategicMerged {
  if (!isJsonObject(patch)) return { kind: "malformed", message: "invalid JSON document" };
  try {
    return { kind: "patched", value: mergeObject(target, patch, schema) };
  } catch (error) {
    if (!(error instanceof PatchFormatError)) throw error;
    return { kind: "malformed", message: error.message };
  }
}

function mergeObject(
  original: JsonObject,
  patch: JsonObject,
  type: SchemaType | undefined,
): JsonObject {
  const directive = getOwn(patch, DIRECTIVE);
  if (directive !== undefined) return applyDirective(directive, patch);

  const result = retainedKeys(original, patch);
  const merged = mergeOrderedLists(result, patch, type);
  for (const key of Object.keys(patch)) {
    const given = patch[key];
    if (key === RETAIN_KEYS || key.startsWith(SET_ELEMENT_ORDER) || merged.has(key)) continue;
    if (key.startsWith(DELETE_FROM_PRIMITIVE_LIST)) continue;
    if (given === null) {
      Reflect.deleteProperty(result, key);
      continue;
    }
    const value = mergeValue(getOwn(result, key), given, childType(type, key));
    if (value !== undefined) setOwn(result, key, value);
  }
  deleteFromLists(result, patch);
  return result;
}

function applyDirective(directive: unknown, patch: JsonObject): JsonObject {
  if (directive === "delete") return {};
  if (directive === "replace") return asObject(withoutDirectives(omitKeys(patch, DIRECTIVE)));
  throw new PatchFormatError(
    `unknown patch type: ${String(directive)} in map: ${JSON.stringify(patch)}`,
  );
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** A value of the patch put over one of the original; undefined when nothing comes of it. */
function mergeValue(original: unknown, given: unknown, type: SchemaType | undefined): unknown {
  if (isJsonObject(original) && isJsonObject(given)) return mergeObject(original, given, type);
  if (Array.isArray(original) && Array.isArray(given)) return mergeList(original, given, type);
  return withoutDirectives(given);
}

/** The type of a member; undefined where the schema does not know it, and lists are replaced. */
function childType(type: SchemaType | undefined, key: string): SchemaType | undefined {
  const actual = type === undefined ? undefined : resolved(type);
  if (actual?.kind === "message") return jsonFieldsOf(actual).fields.get(key)?.type;
  return actual?.kind === "map" ? actual.value : undefined;
}

/** The original without the keys that `$retainKeys` does not name. */
function retainedKeys(original: JsonObject, patch: JsonObject): Record<string, unknown> {
  const retained = getOwn(patch, RETAIN_KEYS);
  if (retained === undefined) return { ...original };
  const problem = new PatchFormatError("invalid patch format of retainKeys");
  if (!Array.isArray(retained)) throw problem;
  const names = new Set<unknown>(retained);
  for (const key of Object.keys(patch)) {
    const isDirective = key.startsWith("$");
    if (!isDirective && patch[key] !== null && !names.has(key)) throw problem;
  }
  return omitKeys(original, ...Object.keys(original).filter((key) => !names.has(key)));
}

/** Merges each list that has a `$setElementOrder`, into `result`; gives the keys it has dealt with. */
function mergeOrderedLists(
  result: Record<string, unknown>,
  patch: JsonObject,
  type: SchemaType | undefined,
): ReadonlySet<string> {
  const done = new Set<string>();
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(SET_ELEMENT_ORDER)) continue;
    const key = directive.slice(SET_ELEMENT_ORDER.length);
    const order: unknown = patch[directive];
    const original = getOwn(result, key) ?? undefined;
    const given = getOwn(patch, key) ?? undefined;
    if (!Array.isArray(order) || !isListOrAbsent(original) || !isListOrAbsent(given)) {
      throw new PatchFormatError("invalid patch format of setElementOrder list");
    }
    // A null list in the patch deletes the field, whatever the order says.
    if (getOwn(patch, key) === null || (original === undefined && given === undefined)) continue;
    const fieldType = childType(type, key);
    const mergeKey = mergeKeyOf(fieldType) ?? "";
    checkAgainstOrder(given ?? [], order, mergeKey);
    const merged =
      original === undefined
        ? []
        : given === undefined
          ? original
          : mergeList(original, given, fieldType);
    const added = original === undefined ? asList(withoutDirectives(given)) : merged;
    setOwn(result, key, inOrder(added, order, original ?? [], mergeKey));
    done.add(key);
  }
  return done;
}

function isListOrAbsent(value: unknown): value is readonly unknown[] | undefined {
  return value === undefined || Array.isArray(value);
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function deleteFromLists(result: Record<string, unknown>, patch: JsonObject): void {
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(DELETE_FROM_PRIMITIVE_LIST)) continue;
    const key = directive.slice(DELETE_FROM_PRIMITIVE_LIST.length);
    const unwanted: unknown = patch[directive];
    if (!Array.isArray(unwanted)) {
      throw new PatchFormatError("invalid patch format of primitive list");
    }
    const list = getOwn(result, key);
    const gone = new Set<unknown>(unwanted);
    if (Array.isArray(list)) {
      setOwn(
        result,
        key,
        list.filter((item) => !gone.has(item)),
      );
    }
  }
}

function mergeList(
  original: readonly unknown[],
  patch: readonly unknown[],
  type: SchemaType | undefined,
): readonly unknown[] {
  const mergeKey = mergeKeyOf(type);
  if (mergeKey === undefined) return patch;
  if (mergeKey === "") {
    const merged = [...new Set([...original, ...patch])];
    return inOrder(merged, patch, original, mergeKey);
  }
  const actual = type === undefined ? undefined : resolved(type);
  const elementType = actual?.kind === "list" ? actual.element : undefined;
  return mergeByKey(original, patch, mergeKey, elementType);
}

function mergeByKey(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  elementType: SchemaType | undefined,
): readonly unknown[] {
  const deleted = new Set<string>();
  let replaces = false;
  const given: JsonObject[] = [];
  for (const item of patch) {
    if (!isJsonObject(item)) {
      throw new PatchFormatError(`a list merged by ${mergeKey} may only hold objects`);
    }
    const directive = getOwn(item, DIRECTIVE);
    switch (directive) {
      case undefined:
        given.push(item);
        break;
      case "replace":
        replaces = true;
        break;
      case "delete":
        deleted.add(keyValue(item, mergeKey));
        break;
      case "merge":
        throw new PatchFormatError("merging lists cannot yet be specified in the patch");
      default:
        applyDirective(directive, item);
    }
  }
  if (replaces) return given.map(withoutDirectives);

  const kept =
    deleted.size === 0
      ? original
      : original.filter((item) => !isJsonObject(item) || !deleted.has(textOfKey(item, mergeKey)));
  const merged = [...kept];
  // Where the first element with a key stands; a search for each would take the square of the list.
  const places = new Map<string, number>();
  const note = (item: unknown, at: number) => {
    if (!isJsonObject(item)) return;
    const text = textOfKey(item, mergeKey);
    if (!places.has(text)) places.set(text, at);
  };
  for (const [at, item] of merged.entries()) note(item, at);
  for (const item of given) {
    const at = places.get(keyValue(item, mergeKey));
    if (at === undefined) note(item, merged.push(withoutDirectives(item)) - 1);
    else merged[at] = mergeObject(asObject(merged[at]), item, elementType);
  }
  return inOrder(merged, given, kept, mergeKey);
}

function keyValue(item: JsonObject, mergeKey: string): string {
  const value = getOwn(item, mergeKey);
  if (typeof value !== "string" && typeof value !== "number") {
    throw new PatchFormatError(
      `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
    );
  }
  return String(value);
}

function textOfKey(item: JsonObject, mergeKey: string): string {
  return String(getOwn(item, mergeKey));
}
