import { getOwn, isJsonObject } from "../json.ts";
import { jsonFieldsOf, resolved } from "../json-fields.ts";
import type { ListType, MessageType, ScalarName, SchemaType } from "../schema.ts";
import { fieldElement, keyElement, valueElement } from "./path-element.ts";

/** A type as apply sees it; `untyped` is told by the value (fields that a message keeps without declaring). */
export type Shape = ScalarShape | ListShape | RecordShape | UntypedShape;

interface ScalarShape {
  readonly kind: "scalar";
  readonly scalar: ScalarName;
}

export interface ListShape {
  readonly kind: "list";
  /** The list is one value: who sets it sets it whole. */
  readonly atomic: boolean;
  readonly element: Shape;
  /** By which an item is told from the others, in order of name; undefined: by its value. */
  readonly keys: readonly { readonly name: string; readonly default: unknown }[] | undefined;
}

/** A message or a map. */
export interface RecordShape {
  readonly kind: "record";
  readonly atomic: boolean;
  readonly members: ReadonlyMap<string, RecordMember>;
  /** What any other key holds; undefined: there is none. */
  readonly rest: Shape | undefined;
}

interface RecordMember {
  /** As in a path set. */
  readonly element: string;
  readonly shape: Shape;
  /** Read from the API it is always there, so that nobody is said to have brought it. */
  readonly isPresent: boolean;
}

interface UntypedShape {
  readonly kind: "untyped";
}

const UNTYPED: UntypedShape = { kind: "untyped" };
const UNTYPED_SCALAR: ScalarShape = { kind: "scalar", scalar: "json" };
const UNTYPED_LIST: ListShape = { kind: "list", atomic: true, element: UNTYPED, keys: undefined };
const UNTYPED_RECORD: RecordShape = {
  kind: "record",
  atomic: false,
  members: new Map(),
  rest: UNTYPED,
};

// Derived from schemas, which never change, and held only as long as they are: not state, only haste.
const derived = new WeakMap<SchemaType, Shape>();

export function shapeOf(type: SchemaType): Shape {
  const known = derived.get(type);
  if (known !== undefined) return known;
  const made = makeShape(type);
  derived.set(type, made);
  return made;
}

function makeShape(type: SchemaType): Shape {
  const actual = resolved(type);
  switch (actual.kind) {
    case "scalar":
      return { kind: "scalar", scalar: actual.scalar };
    case "list":
      return {
        kind: "list",
        atomic: actual.listType === "atomic",
        keys: actual.listType === "map" ? keysOf(actual) : undefined,
        get element() {
          return shapeOf(actual.element);
        },
      };
    case "map":
      return {
        kind: "record",
        atomic: actual.mapType === "atomic",
        members: new Map(),
        get rest() {
          return shapeOf(actual.value);
        },
      };
    case "message":
      return messageShape(actual);
  }
}

function messageShape(type: MessageType): RecordShape {
  const { fields, preserveUnknown } = jsonFieldsOf(type);
  const members = new Map<string, RecordMember>();
  for (const [name, field] of fields) {
    members.set(name, {
      element: fieldElement(name),
      isPresent: field.present || name === "status" || name === "spec",
      // Messages can hold themselves: each is made when it is asked for.
      get shape() {
        return shapeOf(field.type);
      },
    });
  }
  const rest = preserveUnknown ? UNTYPED : undefined;
  return { kind: "record", atomic: type.atomic ?? false, members, rest };
}

function keysOf(type: ListType): ListShape["keys"] {
  const element = resolved(type.element);
  const fields = element.kind === "message" ? jsonFieldsOf(element).fields : undefined;
  return (type.mapKeys ?? []).toSorted().map((name) => {
    return { name, default: fields?.get(name)?.default };
  });
}

/** The shape with `untyped` decided by the first value that says something. */
export function shapeFor(shape: Shape, a: unknown, b?: unknown): Exclude<Shape, UntypedShape> {
  if (shape.kind !== "untyped") return shape;
  const value = a ?? b;
  if (Array.isArray(value)) return UNTYPED_LIST;
  return isJsonObject(value) ? UNTYPED_RECORD : UNTYPED_SCALAR;
}

/** What a key of a record holds, and its path element; undefined for a key that is not declared. */
export function memberOf(
  record: RecordShape,
  key: string,
): { readonly element: string; readonly shape: Shape } | undefined {
  const member = record.members.get(key);
  if (member !== undefined) return member;
  return record.rest && { element: fieldElement(key), shape: record.rest };
}

export type ItemElement =
  | { readonly kind: "element"; readonly element: string }
  /** Why the item cannot be told from others. */
  | { readonly kind: "nameless"; readonly why: string };

/** By what an item of a list is told from the others. */
export function itemElement(list: ListShape, item: unknown): ItemElement {
  const nameless = (why: string): ItemElement => ({ kind: "nameless", why });
  if (list.keys === undefined) {
    if (isJsonObject(item)) {
      return nameless("associative list without keys has an element that's a map type");
    }
    if (Array.isArray(item)) return nameless("not supporting lists as elements");
    return { kind: "element", element: valueElement(item) };
  }
  if (item === null) {
    return nameless("associative list with keys may not have a null element");
  }
  if (!isJsonObject(item)) {
    return nameless("associative list with keys may not have non-map elements");
  }
  const values: [string, unknown][] = [];
  for (const key of list.keys) {
    const value = getOwn(item, key.name) ?? key.default;
    if (value === undefined) {
      return nameless(
        `associative list with keys has an element that omits key field ${JSON.stringify(key.name)} (and doesn't have default value)`,
      );
    }
    values.push([key.name, value]);
  }
  return { kind: "element", element: keyElement(values) };
}

/** As {@link itemElement}, for lists that are stored already; those without a name share one. */
export function itemElementOf(list: ListShape, item: unknown): string {
  const found = itemElement(list, item);
  return found.kind === "element" ? found.element : "k:{}";
}
