import { isJsonObject } from "../machinery/json.ts";
import type { JsonObject } from "../machinery/json.ts";
import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  double,
  field,
  int64,
  intOrString,
  json,
  list,
  map,
  message,
  present,
  string,
} from "../machinery/schema.ts";
import type { Field, MessageType, SchemaType } from "../machinery/schema.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import type { Structural } from "./structural.ts";
import { schemaAt } from "./structural.ts";

/**
 * The structure of a custom kind in the language of all kinds, for whatever walks over schemas: server-side
 * apply finds there which lists are maps and by which keys. Values are judged by the structural schema itself.
 */
export function messageOfKind(name: string, schema: Structural): MessageType {
  const fields = fieldsOf(name, schema);
  return message(
    name,
    schema.description,
    {
      ...fields,
      ...typeFields,
      metadata: present(0, objectMeta, { description: "What every object carries." }),
    },
    { preserveUnknown: schema.preserveUnknown },
  );
}

function fieldsOf(name: string, schema: Structural): Readonly<Record<string, Field>> {
  return Object.fromEntries(
    [...schema.properties].map(([key, inner]) => [
      key,
      // Absence and zero differ in JSON: every field is what Go calls a pointer.
      field(0, typeOf(`${name}.${key}`, inner), { pointer: true, description: inner.description }),
    ]),
  );
}

function typeOf(name: string, schema: Structural): SchemaType {
  if (schema.intOrString) return intOrString;
  switch (schema.type) {
    case "object":
      return objectType(name, schema);
    case "array":
      return list(schema.items === undefined ? json : typeOf(name, schema.items), {
        listType: schema.listType,
        ...(schema.mapKeys.length === 0 ? {} : { mapKeys: schema.mapKeys }),
      });
    case "string":
      return string;
    case "integer":
      return int64;
    case "number":
      return double;
    case "boolean":
      return boolean;
    default:
      return json;
  }
}

function objectType(name: string, schema: Structural): SchemaType {
  const { additional, isAtomicMap } = schema;
  if (additional !== undefined && schema.properties.size === 0) {
    const value = additional === true ? json : typeOf(name, additional);
    return map(value, isAtomicMap ? "atomic" : "granular");
  }
  return message(
    name,
    schema.description,
    {
      ...fieldsOf(name, schema),
      ...(schema.embedded ? { ...typeFields, metadata: present(0, objectMeta) } : {}),
    },
    { atomic: isAtomicMap, preserveUnknown: schema.preserveUnknown },
  );
}

const META_REF = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** Keywords that OpenAPI v3 has no place for, or that say nothing to a client. */
const UNPUBLISHED = ["id", "$schema", "$ref", "definitions", "dependencies", "patternProperties"];

/** The schema of a custom kind as clients read it in OpenAPI. */
export function publishedSchema(
  schema: JsonSchemaProps,
  kind: { readonly group: string; readonly version: string; readonly kind: string },
): JsonObject {
  const published = publishedNode(schema);
  const properties = isJsonObject(published["properties"]) ? published["properties"] : {};
  return {
    ...published,
    type: "object",
    properties: {
      ...properties,
      apiVersion: { type: "string", description: "Group and version of this object's schema." },
      kind: { type: "string", description: "Kind of this object." },
      metadata: {
        description: "What every object carries.",
        allOf: [{ $ref: `#/components/schemas/${META_REF}` }],
      },
    },
    "x-kubernetes-group-version-kind": [kind],
  };
}

function publishedNode(schema: JsonSchemaProps): JsonObject {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (!UNPUBLISHED.includes(key)) result[key] = value;
  }
  if (schema.properties !== undefined) {
    result["properties"] = Object.fromEntries(
      Object.entries(schema.properties).map(([key, inner]) => [key, publishedNode(inner)]),
    );
  }
  const items = schemaAt(schema.items);
  if (items !== undefined) result["items"] = publishedNode(items);
  const additional = schemaAt(schema.additionalProperties);
  if (additional !== undefined) result["additionalProperties"] = publishedNode(additional);
  if (schema["x-kubernetes-int-or-string"] === true) {
    result["oneOf"] = [{ type: "integer" }, { type: "string" }];
    delete result["anyOf"];
  }
  if (schema["x-kubernetes-embedded-resource"] === true) {
    const metadata = { allOf: [{ $ref: `#/components/schemas/${META_REF}` }] };
    const properties = isJsonObject(result["properties"]) ? result["properties"] : {};
    const text = { type: "string" };
    result["properties"] = { ...properties, apiVersion: text, kind: text, metadata };
  }
  return result;
}
