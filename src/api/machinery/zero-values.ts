import type { Field, MessageType, SchemaType } from "./schema.ts";
import { isJsonObject } from "./json.ts";

/**
 * Gives each `present` field that is missing its zero value, at any depth, as decoding into a Go struct does;
 * so static types hold before validation, which then sees `""` where a required text is missing. Times have no
 * zero value and stay absent.
 * @returns the same object when nothing was missing.
 */
export function withZeroValues<T>(type: MessageType, object: T): T {
  // The result differs from the argument only by fields that T says are there.
  return filled(type, object) as T;
}

function filled(type: SchemaType, value: unknown): unknown {
  switch (type.kind) {
    case "scalar":
      return value;
    case "lazy":
      return filled(type.resolve(), value);
    case "list":
      return Array.isArray(value) ? filledEach(type.element, value) : value;
    case "map":
      // No served kind has a map of messages.
      return value;
    case "message":
      return isJsonObject(value) ? filledMessage(type, value) : value;
    default:
      return type satisfies never;
  }
}

function filledMessage(type: MessageType, object: Readonly<Record<string, unknown>>): unknown {
  let result = object;
  for (const [name, field] of entriesOf(type)) {
    if (field.inline === true) {
      const inlined = filled(field.type, result);
      if (isJsonObject(inlined)) result = inlined;
      continue;
    }
    const old = result[name];
    const isMissing = old === undefined || old === null;
    if (isMissing && !field.present) continue;
    const next = isMissing ? zeroOf(field) : filled(field.type, old);
    if (next !== old && next !== undefined) result = { ...result, [name]: next };
  }
  return result;
}

// Derived from schemas, which never change, and held only as long as they are: not state, only haste.
const derived = new WeakMap<MessageType, readonly (readonly [string, Field])[]>();

/** Fields whose absence, or whose inside, may have something to fill in. */
function entriesOf(type: MessageType): readonly (readonly [string, Field])[] {
  const known = derived.get(type);
  if (known !== undefined) return known;
  const entries = Object.entries(type.fields).filter(
    ([, field]) => field.present || (field.type.kind !== "scalar" && field.type.kind !== "map"),
  );
  derived.set(type, entries);
  return entries;
}

function filledEach(type: SchemaType, items: readonly unknown[]): readonly unknown[] {
  const next = items.map((item) => filled(type, item));
  return next.some((item, i) => item !== items[i]) ? next : items;
}

function zeroOf(field: Field): unknown {
  if (!field.present) return undefined;
  const type = field.type.kind === "lazy" ? field.type.resolve() : field.type;
  switch (type.kind) {
    case "message":
      return filledMessage(type, {});
    case "list":
      return [];
    case "map":
      return {};
    case "scalar":
      switch (type.scalar) {
        case "boolean":
          return false;
        case "int32":
        case "int64":
        case "double":
        case "intOrString":
          return 0;
        case "string":
        case "bytes":
        case "quantity":
          return "";
        case "time":
        case "microTime":
        case "json":
          return undefined;
        default:
          return type.scalar satisfies never;
      }
    default:
      return type satisfies never;
  }
}
