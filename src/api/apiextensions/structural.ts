import { decodeObject } from "../machinery/decode.ts";
import { isJsonObject } from "../machinery/json.ts";
import { jsonSchemaProps } from "./json-schema.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { compilePattern } from "./pattern.ts";
import type { Pattern } from "./pattern.ts";

/**
 * A structural schema made ready for walks over values: pruning and defaults (`shape.ts`), validation
 * (`custom-value.validation.ts`), and the kind's schema (`custom-schema.ts`).
 */
export interface Structural {
  /** "" where any type may stand. */
  readonly type: string;
  readonly nullable: boolean;
  readonly intOrString: boolean;
  readonly preserveUnknown: boolean;
  readonly embedded: boolean;
  /** undefined: no default; JSON has no undefined. */
  readonly default: unknown;
  /** Characters of the default's JSON: what filling it in adds to an object. */
  readonly defaultSize: number;
  readonly properties: ReadonlyMap<string, Structural>;
  readonly items: Structural | undefined;
  /** What other properties are: by schema, anything (true), or not allowed (undefined). */
  readonly additional: Structural | true | undefined;
  readonly listType: "atomic" | "set" | "map";
  readonly mapKeys: readonly string[];
  readonly isAtomicMap: boolean;
  readonly description: string;
  readonly pattern: () => Pattern | undefined;
  /** The keywords that restrict values, as they were written. */
  readonly rules: JsonSchemaProps;
  readonly allOf: readonly Structural[];
  readonly anyOf: readonly Structural[];
  readonly oneOf: readonly Structural[];
  readonly not: Structural | undefined;
}

/** @throws PatternError on first use of a pattern that was never validated. */
export function structuralOf(schema: JsonSchemaProps): Structural {
  const properties = new Map<string, Structural>();
  for (const key of Object.keys(schema.properties ?? {})) {
    const inner = schema.properties?.[key];
    if (inner !== undefined) properties.set(key, structuralOf(inner));
  }
  const items = readSubschema(schema.items);
  const additional = readSubschema(schema.additionalProperties);
  const listType = schema["x-kubernetes-list-type"];
  const all = (list: readonly JsonSchemaProps[] = []) => list.map(structuralOf);
  let pattern: Pattern | undefined;
  return {
    type: schema.type ?? "",
    nullable: schema.nullable ?? false,
    intOrString: schema["x-kubernetes-int-or-string"] ?? false,
    preserveUnknown: schema["x-kubernetes-preserve-unknown-fields"] ?? false,
    embedded: schema["x-kubernetes-embedded-resource"] ?? false,
    default: schema.default,
    defaultSize: schema.default === undefined ? 0 : JSON.stringify(schema.default).length,
    properties,
    items: items.kind === "schema" ? structuralOf(items.schema) : undefined,
    additional:
      additional.kind === "schema"
        ? structuralOf(additional.schema)
        : schema.additionalProperties === true
          ? true
          : undefined,
    listType: listType === "set" || listType === "map" ? listType : "atomic",
    mapKeys: schema["x-kubernetes-list-map-keys"] ?? [],
    isAtomicMap: schema["x-kubernetes-map-type"] === "atomic",
    description: schema.description ?? "",
    // Compiled when first needed: most patterns of most kinds never are.
    pattern: () => {
      const { pattern: source = "" } = schema;
      if (source === "") return undefined;
      return (pattern ??= compilePattern(source));
    },
    rules: schema,
    allOf: all(schema.allOf),
    anyOf: all(schema.anyOf),
    oneOf: all(schema.oneOf),
    not: schema.not === undefined ? undefined : structuralOf(schema.not),
  };
}

export type Subschema =
  | { readonly kind: "schema"; readonly schema: JsonSchemaProps }
  /** Absent, a boolean, or a list. */
  | { readonly kind: "other" }
  | { readonly kind: "malformed"; readonly message: string };

/** Reads what stands in `items` or `additionalProperties`. */
export function readSubschema(value: unknown): Subschema {
  if (!isJsonObject(value)) return { kind: "other" };
  const decoded = decodeObject(jsonSchemaProps, value);
  // Decoded by the schema of schemas, whose static type JsonSchemaProps is.
  return decoded.kind === "decoded"
    ? { kind: "schema", schema: decoded.object as JsonSchemaProps }
    : decoded;
}

/** The schema that stands there, if one does. */
export function schemaAt(value: unknown): JsonSchemaProps | undefined {
  const read = readSubschema(value);
  return read.kind === "schema" ? read.schema : undefined;
}
