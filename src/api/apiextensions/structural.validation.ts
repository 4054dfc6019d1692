import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual } from "../machinery/json.ts";
import { validateCustomValue } from "./custom-value.validation.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { validateListTopology } from "./list-topology.validation.ts";
import { tryPattern } from "./pattern.ts";
import { shapeValue } from "./shape.ts";
import { readSubschema, schemaAt, structuralOf } from "./structural.ts";

/** Where a schema stands: what may be left out differs. */
type Level = "root" | "item" | "field";

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];
/** Both ways to say by value validation what `x-kubernetes-int-or-string` says. */
const INT_OR_STRING = [{ type: "integer" }, { type: "string" }];
/** Whoever wrote a worse schema has enough to mend. */
const MAX_ERRORS = 100;
/** Far above real schemas; each node costs some hundred bytes for as long as the kind is served. */
const MAX_NODES = 50_000;
/** Of all patterns together: a few characters, `(a{1000}){20}`, can ask for thousands. */
const MAX_INSTRUCTIONS = 500_000;

interface Context {
  readonly errors: FieldError[];
  nodes: number;
  instructions: number;
}

/**
 * Checks that a schema is structural (KEP-20190425): every field has its type outside of allOf, anyOf, oneOf and
 * not, which may only restrict values. Wording and paths as upstream (apiextensions-apiserver
 * `apiserver/schema/validation.go`, `apis/apiextensions/validation`).
 */
export function validateStructuralSchema(
  schema: JsonSchemaProps,
  path: string,
): readonly FieldError[] {
  const context: Context = { errors: [], nodes: 0, instructions: 0 };
  validateNode(schema, "root", path, context);
  if (context.nodes > MAX_NODES) {
    return [forbidden(path, `has more than ${String(MAX_NODES)} schemas in it`)];
  }
  if (context.errors.length === 0) validateDefaults(schema, path, context);
  return context.errors.slice(0, MAX_ERRORS);
}

function validateNode(schema: JsonSchemaProps, level: Level, path: string, context: Context): void {
  if (++context.nodes > MAX_NODES) return;
  const { errors } = context;
  errors.push(
    ...unsupportedKeywords(schema, path),
    ...typeErrors(schema, level, path),
    ...extensionErrors(schema, path),
    ...patternErrors(schema, path, context),
    ...identityErrors(schema, level, path),
  );
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    if (level === "root" && key === "metadata") continue;
    validateNode(inner, "field", `${path}.properties[${key}]`, context);
  }
  const items = readSubschema(schema.items);
  if (items.kind === "malformed") errors.push(invalid(`${path}.items`, "", items.message));
  else if (items.kind === "schema") validateNode(items.schema, "item", `${path}.items`, context);
  const additional = readSubschema(schema.additionalProperties);
  const additionalPath = `${path}.additionalProperties`;
  if (additional.kind === "malformed") {
    errors.push(invalid(additionalPath, "", additional.message));
  } else if (additional.kind === "schema") {
    validateNode(additional.schema, "field", additionalPath, context);
  }
  for (const [nested, at] of nestedOf(schema, path)) {
    if (isIntOrStringPattern(schema, nested)) continue;
    validateNested(nested, schema, at, context);
  }
}

/** The schemas under logical junctors, with their paths. */
function nestedOf(
  schema: JsonSchemaProps,
  path: string,
): readonly (readonly [JsonSchemaProps, string])[] {
  const lists = ["allOf", "anyOf", "oneOf"] as const;
  return [
    ...lists.flatMap((name) =>
      (schema[name] ?? []).map((inner, i) => [inner, `${path}.${name}[${String(i)}]`] as const),
    ),
    ...(schema.not === undefined ? [] : [[schema.not, `${path}.not`] as const]),
  ];
}

/** Types are allowed in the one place where they say that a field is an integer or a string. */
function isIntOrStringPattern(schema: JsonSchemaProps, nested: JsonSchemaProps): boolean {
  if (schema["x-kubernetes-int-or-string"] !== true) return false;
  if (schema.anyOf?.includes(nested) === true) return deepEqual(schema.anyOf, INT_OR_STRING);
  return schema.allOf?.[0] === nested && deepEqual(nested, { anyOf: INT_OR_STRING });
}

/** A schema under a junctor: restricts values, and only those of fields that `outer` declares. */
function validateNested(
  nested: JsonSchemaProps,
  outer: JsonSchemaProps | undefined,
  path: string,
  context: Context,
): void {
  if (++context.nodes > MAX_NODES) return;
  const { errors } = context;
  errors.push(...unsupportedKeywords(nested, path), ...patternErrors(nested, path, context));
  const mustBe = (key: keyof JsonSchemaProps, what: string) => {
    const value = nested[key];
    if (value === undefined || value === false || value === "") return;
    errors.push(forbidden(`${path}.${key}`, `must be ${what} to be structural`));
  };
  mustBe("type", "empty");
  mustBe("additionalProperties", "undefined");
  mustBe("default", "undefined");
  mustBe("title", "empty");
  mustBe("description", "empty");
  mustBe("nullable", "false");
  mustBe("externalDocs", "undefined");
  mustBe("x-kubernetes-preserve-unknown-fields", "false");
  mustBe("x-kubernetes-embedded-resource", "false");
  mustBe("x-kubernetes-int-or-string", "false");
  mustBe("x-kubernetes-list-map-keys", "empty");
  mustBe("x-kubernetes-list-type", "undefined");
  mustBe("x-kubernetes-map-type", "undefined");
  mustBe("x-kubernetes-validations", "empty");
  for (const [key, inner] of Object.entries(nested.properties ?? {})) {
    const at = `${path}.properties[${key}]`;
    if (key === "metadata") errors.push(forbidden(at, "must not be specified in a nested context"));
    const declared = Object.hasOwn(outer?.properties ?? {}, key)
      ? outer?.properties?.[key]
      : schemaAt(outer?.additionalProperties);
    if (declared === undefined && !isFree(outer)) {
      errors.push(required(structuralPath(at), `because it is defined in ${at}`));
    }
    validateNested(inner, declared, at, context);
  }
  const items = readSubschema(nested.items);
  if (items.kind === "schema") {
    const declared = schemaAt(outer?.items);
    const at = `${path}.items`;
    if (declared === undefined && !isFree(outer)) {
      errors.push(required(structuralPath(at), `because it is defined in ${at}`));
    }
    validateNested(items.schema, declared, at, context);
  }
  for (const [inner, at] of nestedOf(nested, path)) validateNested(inner, outer, at, context);
}

/** What a field under junctors is called where it must be declared: the path without them. */
function structuralPath(path: string): string {
  return path.replaceAll(/\.(?:allOf|anyOf|oneOf)\[\d+\]|\.not(?=\.|$)/g, "");
}

/** Below fields that are kept whatever they are, nothing needs to be declared. */
function isFree(schema: JsonSchemaProps | undefined): boolean {
  return schema === undefined;
}

function unsupportedKeywords(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  const keywords = ["$ref", "definitions", "dependencies", "id", "patternProperties"] as const;
  for (const keyword of keywords) {
    const value = schema[keyword];
    if (value === undefined) continue;
    errors.push(forbidden(`${path}.${keyword}`, `${keyword} is not supported`));
  }
  if (schema.additionalItems !== undefined) {
    errors.push(forbidden(`${path}.additionalItems`, "additionalItems is not supported"));
  }
  if (schema.uniqueItems === true) {
    const why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    errors.push(forbidden(`${path}.uniqueItems`, why));
  }
  if (Array.isArray(schema.items)) {
    errors.push(forbidden(`${path}.items`, "items must be a schema object and not an array"));
  }
  if (schema.additionalProperties !== undefined) {
    const at = `${path}.additionalProperties`;
    if (schema.additionalProperties === false) {
      errors.push(forbidden(at, "additionalProperties cannot be set to false"));
    }
    if (Object.keys(schema.properties ?? {}).length > 0) {
      errors.push(forbidden(at, "additionalProperties and properties are mutual exclusive"));
    }
  }
  const { type = "" } = schema;
  if (type === "null") {
    const why = "type cannot be set to null, use nullable as an alternative";
    errors.push(forbidden(`${path}.type`, why));
  } else if (type !== "" && !TYPES.includes(type)) {
    errors.push(notSupported(`${path}.type`, type, TYPES));
  }
  return errors;
}

const WHERE = {
  root: "at the root",
  item: "for specified array items",
  field: "for specified object fields",
} as const;

function typeErrors(schema: JsonSchemaProps, level: Level, path: string): readonly FieldError[] {
  const { type = "" } = schema;
  const errors: FieldError[] = [];
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  if (isEmbedded && type !== "object") {
    const why = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(type === "" ? required(`${path}.type`, why) : invalid(`${path}.type`, type, why));
  } else if (
    type === "" &&
    schema["x-kubernetes-int-or-string"] !== true &&
    schema["x-kubernetes-preserve-unknown-fields"] !== true
  ) {
    errors.push(required(`${path}.type`, `must not be empty ${WHERE[level]}`));
  } else if (level === "root" && type !== "" && type !== "object") {
    errors.push(invalid(`${path}.type`, type, "must be object at the root"));
  }
  if (type === "array" && schema.items === undefined) {
    errors.push(required(`${path}.items`, "must be specified"));
  }
  const additionalPath = `${path}.additionalProperties`;
  if (schema.additionalProperties !== undefined) {
    if (level === "root") errors.push(forbidden(additionalPath, "must not be used at the root"));
    if (isEmbedded) {
      const why = "must not be used if x-kubernetes-embedded-resource is set";
      errors.push(forbidden(additionalPath, why));
    }
  }
  const isKept = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (isEmbedded && !isKept && Object.keys(schema.properties ?? {}).length === 0) {
    const why =
      "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
    errors.push(required(`${path}.properties`, why));
  }
  if (level === "root" && schema.nullable === true) {
    errors.push(forbidden(`${path}.nullable`, "nullable cannot be true at the root"));
  }
  return errors;
}

function extensionErrors(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  const preserve = "x-kubernetes-preserve-unknown-fields";
  const intOrString = schema["x-kubernetes-int-or-string"] === true;
  if (schema[preserve] === false) {
    errors.push(invalid(`${path}.${preserve}`, false, "must be true or undefined"));
  }
  for (const extension of [preserve, "x-kubernetes-embedded-resource"] as const) {
    if (!intOrString || schema[extension] !== true) continue;
    const why = "must be false if x-kubernetes-int-or-string is true";
    errors.push(invalid(`${path}.${extension}`, true, why));
  }
  if (intOrString && (schema.type ?? "") !== "") {
    const why = "must be empty if x-kubernetes-int-or-string is true";
    errors.push(invalid(`${path}.type`, schema.type, why));
  }
  const mapType = schema["x-kubernetes-map-type"];
  if (mapType !== undefined) {
    const at = `${path}.x-kubernetes-map-type`;
    if (mapType !== "atomic" && mapType !== "granular") {
      errors.push(notSupported(at, mapType, ["atomic", "granular"]));
    }
    if (schema.type !== "object") {
      const why = "must be object if x-kubernetes-map-type is specified";
      errors.push(invalid(`${path}.type`, schema.type ?? "", why));
    }
  }
  return [...errors, ...validateListTopology(schema, path)];
}

function patternErrors(
  { pattern = "" }: JsonSchemaProps,
  path: string,
  context: Context,
): readonly FieldError[] {
  if (pattern === "") return [];
  const at = `${path}.pattern`;
  if (context.instructions > MAX_INSTRUCTIONS) {
    return [forbidden(at, "the patterns of this schema are too large together")];
  }
  const tried = tryPattern(pattern);
  // One that cannot be used may have cost as much.
  context.instructions += tried.size;
  if (tried.kind === "compiled") return [];
  const why = `must be a valid regular expression, but isn't: ${tried.problem}`;
  return [invalid(at, pattern, why)];
}

/** apiVersion, kind and metadata are there by themselves; a schema may say little about them. */
function identityErrors(
  schema: JsonSchemaProps,
  level: Level,
  path: string,
): readonly FieldError[] {
  if (level !== "root" && schema["x-kubernetes-embedded-resource"] !== true) return [];
  const errors: FieldError[] = [];
  const { properties = {} } = schema;
  for (const key of ["apiVersion", "kind"]) {
    const type = properties[key]?.type;
    if (properties[key] === undefined || type === "string") continue;
    errors.push(invalid(`${path}.properties[${key}].type`, type ?? "", "must be string"));
  }
  const { metadata } = properties;
  if (metadata === undefined) return errors;
  const at = `${path}.properties[metadata]`;
  if (metadata.type !== "object") {
    errors.push(invalid(`${at}.type`, metadata.type ?? "", "must be object"));
  }
  if (level !== "root") return errors;
  const { type: _type, properties: inner = {}, description: _description, ...rest } = metadata;
  const others = Object.keys(inner).filter((key) => key !== "name" && key !== "generateName");
  if (others.length > 0 || Object.keys(rest).length > 0) {
    const why =
      "must not specify anything other than name and generateName, but metadata is implicitly specified";
    errors.push(forbidden(at, why));
  }
  return errors;
}

/** A default must itself be what its schema asks for, and say nothing that would be pruned. */
function validateDefaults(schema: JsonSchemaProps, path: string, context: Context): void {
  if (schema.default !== undefined && context.errors.length < MAX_ERRORS) {
    const structural = structuralOf(schema);
    const at = `${path}.default`;
    const shaped = shapeValue(structural, schema.default);
    if (shaped.unknownFields.length > 0) {
      context.errors.push(invalid(at, schema.default, "must not have unknown fields"));
    }
    context.errors.push(...validateCustomValue(structural, shaped.value, { path: at }));
  }
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    validateDefaults(inner, `${path}.properties[${key}]`, context);
  }
  const items = schemaAt(schema.items);
  if (items !== undefined) validateDefaults(items, `${path}.items`, context);
  const additional = schemaAt(schema.additionalProperties);
  if (additional !== undefined) {
    validateDefaults(additional, `${path}.additionalProperties`, context);
  }
}

/** How many rules in the CEL language a schema carries. */
export function celRulesIn(schema: JsonSchemaProps): number {
  const inner = [
    ...Object.values(schema.properties ?? {}),
    ...(schema.allOf ?? []),
    schemaAt(schema.items) ?? {},
    schemaAt(schema.additionalProperties) ?? {},
  ];
  return inner.reduce(
    (sum, one) => (Object.keys(one).length === 0 ? sum : sum + celRulesIn(one)),
    schema["x-kubernetes-validations"]?.length ?? 0,
  );
}
