import { decodeObject } from "../../src/api/machinery/decode.ts";
import { jsonFieldsOf } from "../../src/api/machinery/json-fields.ts";
import type { JsonObject } from "../../src/api/machinery/json.ts";
import type {
  Field,
  ListType,
  MapType,
  MessageType,
  ScalarName,
  ScalarType,
  SchemaType,
} from "../../src/api/machinery/schema.ts";

/** Levels below an object that are filled; types that contain themselves end there. */
const MAX_LEVELS = 7;

const SCALARS: Readonly<Record<ScalarName, unknown>> = {
  string: "a",
  boolean: true,
  int32: 1,
  int64: 1,
  double: 1.5,
  bytes: "AAEC",
  quantity: "1",
  intOrString: 80,
  time: "2024-01-01T00:00:00Z",
  microTime: "2024-01-01T00:00:00.000000Z",
  json: { a: 1 },
};

/**
 * A value with every field that the schema declares, in canonical form: well typed, but seldom valid. What a new
 * kind or field can do wrong is tried as soon as its schema is there.
 */
export function derivedOf(schema: MessageType): JsonObject {
  const decoded = decodeObject(schema, messageAt(schema, 0));
  if (decoded.kind === "malformed") throw new Error(`${schema.name}: ${decoded.message}`);
  return decoded.object;
}

function messageAt(schema: MessageType, level: number): JsonObject {
  const entries = [...jsonFieldsOf(schema).fields].map(
    ([name, field]) => [name, fieldAt(field, level + 1)] as const,
  );
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function fieldAt(field: Field, level: number): unknown {
  if (field.type.kind === "scalar" && field.enum !== undefined) return field.enum[0];
  return valueAt(field.type, level);
}

function valueAt(type: SchemaType, level: number): unknown {
  if (level > MAX_LEVELS) return undefined;
  switch (type.kind) {
    case "scalar":
      return SCALARS[type.scalar];
    case "list": {
      const item = valueAt(type.element, level + 1);
      return item === undefined ? [] : [item];
    }
    case "map": {
      const item = valueAt(type.value, level + 1);
      return item === undefined ? {} : { a: item };
    }
    case "message":
      return messageAt(type, level);
    case "lazy":
      // Once is enough to try what contains itself.
      return level > 4 ? undefined : messageAt(type.resolve(), level);
  }
}

/** A declared field, and how to put something wrong there. */
export interface DeclaredField {
  /** As upstream writes it where it knows the indices: `spec.ports[0].port`. */
  readonly path: string;
  /** As Go's decoder writes it: `spec.ports.port`. */
  readonly goPath: string;
  readonly type: ScalarType | ListType | MapType | MessageType;
  /** The object with this value there, and around it no more than it takes. */
  readonly put: (value: unknown) => unknown;
}

/** Every field of a message, and of the messages in it, that stands at a fixed place. */
export function declaredFields(schema: MessageType): readonly DeclaredField[] {
  return fieldsBelow(schema, "", "", (value) => value, 0);
}

function fieldsBelow(
  schema: MessageType,
  path: string,
  goPath: string,
  around: (value: unknown) => unknown,
  level: number,
): readonly DeclaredField[] {
  if (level > MAX_LEVELS) return [];
  return [...jsonFieldsOf(schema).fields].flatMap(([name, { type }]) => {
    if (type.kind === "lazy") return [];
    const at = path === "" ? name : `${path}.${name}`;
    const goAt = goPath === "" ? name : `${goPath}.${name}`;
    const put = (value: unknown) => around({ [name]: value });
    const own: DeclaredField = { path: at, goPath: goAt, type, put };
    if (type.kind === "message") return [own, ...fieldsBelow(type, at, goAt, put, level + 1)];
    if (type.kind !== "list" || type.element.kind !== "message") return [own];
    const inItem = (value: unknown) => put([value]);
    return [own, ...fieldsBelow(type.element, `${at}[0]`, goAt, inItem, level + 1)];
  });
}
