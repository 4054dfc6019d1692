import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { encodeUtf8 } from "./utf8.ts";
import { WireWriter } from "./wire.ts";

/** What clients ask for that want nothing else, kubectl among them when it applies a List. */
export const OPENAPI_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/** As clients of old named it. */
export const OPENAPI_V2_PROTOBUF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/**
 * A document of Swagger 2.0 as gnostic's protobuf message `openapi.v2.Document`: its info and definitions, which is
 * what clients read of it. Paths are told in JSON alone. Field numbers: OpenAPIv2.proto of gnostic-models.
 */
export function encodeOpenApiV2(document: JsonObject): Uint8Array {
  const to = new WireWriter();
  text(to, 1, document["swagger"]);
  const info = asObject(document["info"]);
  part(to, 2, (inner) => {
    text(inner, 1, info["title"]);
    text(inner, 2, info["version"]);
  });
  part(to, 8, () => undefined);
  part(to, 9, (definitions) => {
    namedSchemas(definitions, 1, document["definitions"]);
  });
  return to.finish();
}

function namedSchemas(to: WireWriter, field: number, schemas: unknown): void {
  for (const [name, schema] of Object.entries(asObject(schemas))) {
    part(to, field, (named) => {
      text(named, 1, name);
      part(named, 2, (inner) => {
        writeSchema(inner, asObject(schema));
      });
    });
  }
}

/** Keywords of a schema with a number as value, by field. */
const NUMBERS = { multipleOf: 6, maximum: 7, minimum: 9 } as const;
const INTEGERS = {
  maxLength: 11,
  minLength: 12,
  maxItems: 14,
  minItems: 15,
  maxProperties: 17,
  minProperties: 18,
} as const;
const FLAGS = { exclusiveMaximum: 8, exclusiveMinimum: 10, uniqueItems: 16, readOnly: 27 } as const;

function writeSchema(to: WireWriter, schema: JsonObject): void {
  text(to, 1, schema["$ref"]);
  text(to, 2, schema["format"]);
  text(to, 3, schema["title"]);
  text(to, 4, schema["description"]);
  if (schema["default"] !== undefined) any(to, 5, schema["default"]);
  for (const [name, field] of Object.entries(NUMBERS)) {
    const value = schema[name];
    if (typeof value === "number") to.double(field, value);
  }
  for (const [name, field] of Object.entries(INTEGERS)) {
    const value = schema[name];
    if (typeof value === "number") to.integer(field, value);
  }
  for (const [name, field] of Object.entries(FLAGS)) {
    if (schema[name] === true) to.integer(field, 1);
  }
  text(to, 13, schema["pattern"]);
  for (const name of asArray(schema["required"])) text(to, 19, name);
  for (const value of asArray(schema["enum"])) any(to, 20, value);
  const more = schema["additionalProperties"];
  if (isJsonObject(more) || typeof more === "boolean") {
    part(to, 21, (item) => {
      if (isJsonObject(more)) schemaPart(item, 1, more);
      else item.integer(2, more ? 1 : 0);
    });
  }
  const type = schema["type"];
  if (type !== undefined) {
    part(to, 22, (item) => {
      for (const name of Array.isArray(type) ? type : [type]) text(item, 1, name);
    });
  }
  if (isJsonObject(schema["items"])) {
    const { items } = schema;
    part(to, 23, (item) => {
      schemaPart(item, 1, items);
    });
  }
  if (isJsonObject(schema["properties"])) {
    const { properties } = schema;
    part(to, 25, (item) => {
      namedSchemas(item, 1, properties);
    });
  }
  for (const [name, value] of Object.entries(schema)) {
    if (!name.startsWith("x-")) continue;
    part(to, 31, (extension) => {
      text(extension, 1, name);
      any(extension, 2, value);
    });
  }
}

function schemaPart(to: WireWriter, field: number, schema: unknown): void {
  part(to, field, (inner) => {
    writeSchema(inner, asObject(schema));
  });
}

/** Any value stands as YAML, of which JSON is a part. */
function any(to: WireWriter, field: number, value: unknown): void {
  part(to, field, (inner) => {
    text(inner, 2, `${JSON.stringify(value)}\n`);
  });
}

function text(to: WireWriter, field: number, value: unknown): void {
  if (typeof value === "string" && value !== "") to.delimited(field, encodeUtf8(value));
}

function part(to: WireWriter, field: number, write: (inner: WireWriter) => void): void {
  const inner = new WireWriter();
  write(inner);
  to.delimited(field, inner.finish());
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
