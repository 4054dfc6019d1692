/** Walking, comparing and copying JSON values. All are safe for keys such as `__proto__`. */

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * No value from a stranger may nest deeper than this. Upstream stops at 10,000; our walks recurse, and no kind
 * nests deeper than a few dozen levels.
 */
export const MAX_JSON_DEPTH = 500;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of an own key, or undefined. Plain indexing would find `constructor` and its like. */
export function getOwn(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets an own key even when it is called `__proto__`, where an assignment would change the prototype. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else {
    object[key] = value;
  }
}

/** Equality by value; a property that is undefined equals one that is absent. Order of keys is no matter. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => deepEqual(item, b[i]));
  }
  if (typeof a === "number" && typeof b === "number") return a === b;
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  for (const key of Object.keys(a)) {
    if (!deepEqual(a[key], getOwn(b, key))) return false;
  }
  for (const key of Object.keys(b)) {
    if (b[key] !== undefined && getOwn(a, key) === undefined) return false;
  }
  return true;
}

/** A copy that shares nothing with the original; properties that are undefined are left out. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isJsonObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined) setOwn(copy, key, cloneJson(value[key]));
  }
  return copy;
}

/** `object` with some of its keys taken out. */
export function omitKeys(object: JsonObject, ...keys: readonly string[]): Record<string, unknown> {
  const rest: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    if (!keys.includes(key)) setOwn(rest, key, object[key]);
  }
  return rest;
}

/** Whether lists and objects nest deeper than `limit` levels; scalars have none. */
export function exceedsDepth(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return limit <= 0 || Object.values(value).some((inner) => exceedsDepth(inner, limit - 1));
}
