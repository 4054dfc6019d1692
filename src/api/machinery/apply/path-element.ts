import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { EMPTY_SET } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";

/**
 * One step of a path as fieldsV1 writes it: `f:NAME` for a field or key of a map, `k:{"port":80,"protocol":"TCP"}`
 * for an item of a list by its keys, `v:"x"` for an item of a set, `i:0` for a place in a list.
 */

export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** For an item whose keys have these values; the names must be in order. */
export function keyElement(keys: readonly (readonly [string, unknown])[]): string {
  return `k:{${keys.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value ?? null)}`).join(",")}}`;
}

export function valueElement(value: unknown): string {
  return `v:${JSON.stringify(value ?? null)}`;
}

/** As messages show a path: `.spec.ports[port=80,protocol="TCP"].name`. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join("");
}

function elementText(element: string): string {
  const rest = element.slice(2);
  switch (element.slice(0, 2)) {
    case "k:": {
      const keys: unknown = JSON.parse(rest);
      const pairs = isJsonObject(keys) ? Object.entries(keys) : [];
      return `[${pairs.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}]`;
    }
    case "v:":
      return `[=${rest}]`;
    case "i:":
      return `[${rest}]`;
    default:
      return `.${rest}`;
  }
}

/** Sets of clients nest no deeper than any object does. */
const MAX_DEPTH = 100;

/** Reads a set that a client sent, with its elements brought into our spelling; undefined: it is not one. */
export function parseFieldsV1(value: unknown, depth = 0): PathSet | undefined {
  if (!isJsonObject(value) || depth > MAX_DEPTH) return undefined;
  const result: Record<string, PathSet> = {};
  for (const key of Object.keys(value)) {
    const element = key === "." ? key : parseElement(key);
    if (element === undefined) return undefined;
    const child = key === "." ? EMPTY_SET : parseFieldsV1(value[key], depth + 1);
    if (child === undefined) return undefined;
    result[element] = child;
  }
  return result;
}

function parseElement(text: string): string | undefined {
  const rest = text.slice(2);
  switch (text.slice(0, 2)) {
    case "f:":
      return text;
    case "k:": {
      const keys = parseText(rest);
      return isJsonObject(keys) ? keyElement(sortedEntries(keys)) : undefined;
    }
    case "v:": {
      const value = parseText(rest);
      return value === undefined ? undefined : valueElement(value);
    }
    case "i:":
      return /^\d{1,9}$/.test(rest) ? text : undefined;
    default:
      return undefined;
  }
}

function sortedEntries(keys: JsonObject): readonly [string, unknown][] {
  return Object.entries(keys).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The only failure is text that is not JSON.
    return undefined;
  }
}
