import { decodeObject } from "../machinery/decode.ts";
import type { Decoded } from "../machinery/decode.ts";
import { isJsonObject, setOwn } from "../machinery/json.ts";
import type { JsonObject } from "../machinery/json.ts";
import { objectMeta } from "../machinery/metadata.ts";
import { field, message } from "../machinery/schema.ts";
import type { Structural } from "./structural.ts";

/** Upstream tells at most this many strict errors of one body. */
const MAX_UNKNOWN_FIELDS = 100;
/**
 * Defaults may not make an object grow by more characters than a body may have: a list of many small objects
 * with a large default each would otherwise fill memory.
 */
const MAX_DEFAULTS = 3 * 1024 * 1024;

/** The metadata of an object, alone, so that its errors and unknown fields carry the right path. */
const onlyMetadata = message("ObjectMeta", "The metadata of an object.", {
  metadata: field(1, objectMeta),
});

interface Context {
  readonly unknownFields: string[];
  defaultsLeft: number;
  problem: string | undefined;
}

/**
 * Brings an object into the form that a structural schema gives it, in one walk: fields that are not declared
 * are pruned, nulls that are not allowed are dropped, defaults are filled in at any depth. Doing it twice gives
 * the same. Types are not judged; that is validation. The root has apiVersion, kind and metadata beside what
 * is declared; metadata is decoded as of every kind.
 */
export function shapeObject(schema: Structural, object: JsonObject): Decoded {
  const context: Context = { unknownFields: [], defaultsLeft: MAX_DEFAULTS, problem: undefined };
  const shaped = shapeResource(schema, object, "", context);
  if (context.problem !== undefined) return { kind: "malformed", message: context.problem };
  return { kind: "decoded", object: shaped, unknownFields: context.unknownFields };
}

/** Like {@link shapeObject}, for a value that is no object of the API itself. */
export function shapeValue(
  schema: Structural,
  value: unknown,
): { readonly value: unknown; readonly unknownFields: readonly string[] } {
  const context: Context = { unknownFields: [], defaultsLeft: MAX_DEFAULTS, problem: undefined };
  return { value: shape(schema, value, "", context), unknownFields: context.unknownFields };
}

function shape(
  schema: Structural | undefined,
  value: unknown,
  path: string,
  context: Context,
): unknown {
  if (Array.isArray(value)) {
    // Items of a list whose fields are kept are kept as well.
    const items = schema?.items ?? (schema?.preserveUnknown === true ? schema : undefined);
    return value.map((item: unknown, i) =>
      shape(
        items,
        isMissing(items, item) ? items?.default : item,
        `${path}[${String(i)}]`,
        context,
      ),
    );
  }
  if (!isJsonObject(value)) return value;
  if (schema?.embedded === true) return shapeResource(schema, value, path, context);
  return shapeFields(schema, value, path, context, []);
}

const IDENTITY = ["apiVersion", "kind", "metadata"];

/** An object with a kind and metadata of its own. */
function shapeResource(
  schema: Structural,
  object: JsonObject,
  path: string,
  context: Context,
): JsonObject {
  const shaped = shapeFields(schema, object, path, context, IDENTITY);
  if (object["metadata"] === undefined) return shaped;
  const decoded = decodeObject(onlyMetadata, { metadata: object["metadata"] });
  if (decoded.kind === "malformed") {
    context.problem ??= decoded.message;
    return shaped;
  }
  const prefix = path === "" ? "" : `${path}.`;
  for (const text of decoded.unknownFields) {
    tellUnknown(context, text.replace('"', `"${prefix}`));
  }
  return { ...shaped, metadata: decoded.object["metadata"] ?? {} };
}

function shapeFields(
  schema: Structural | undefined,
  object: JsonObject,
  path: string,
  context: Context,
  kept: readonly string[],
): JsonObject {
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = object[key];
    const at = path === "" ? key : `${path}.${key}`;
    if (value === undefined) continue;
    if (kept.includes(key)) {
      setOwn(result, key, value);
      continue;
    }
    const property = schema?.properties.get(key) ?? schema?.additional;
    if (property === undefined) {
      if (schema?.preserveUnknown === true) setOwn(result, key, value);
      else tellUnknown(context, `unknown field "${at}"`);
      continue;
    }
    if (property === true) {
      setOwn(result, key, shape(undefined, value, at, context));
      continue;
    }
    if (value === null && !property.nullable) {
      // Absent, for a declared field; of a map nothing but the key would be left.
      const filled =
        schema?.properties.has(key) === true ? undefined : defaultOf(property, context);
      if (filled !== undefined) setOwn(result, key, shape(property, filled, at, context));
      continue;
    }
    setOwn(result, key, shape(property, value, at, context));
  }
  for (const [key, property] of schema?.properties ?? []) {
    if (property.default === undefined || Object.hasOwn(result, key)) continue;
    const filled = defaultOf(property, context);
    if (filled === undefined) continue;
    setOwn(result, key, shape(property, filled, path === "" ? key : `${path}.${key}`, context));
  }
  return result;
}

function isMissing(schema: Structural | undefined, item: unknown): boolean {
  return item === null && schema?.nullable === false && schema.default !== undefined;
}

function defaultOf(schema: Structural, context: Context): unknown {
  context.defaultsLeft -= schema.defaultSize;
  if (context.defaultsLeft >= 0) return schema.default;
  context.problem ??= `defaults of the kind would add more than ${String(MAX_DEFAULTS)} characters to the object`;
  return undefined;
}

function tellUnknown(context: Context, text: string): void {
  if (context.unknownFields.length < MAX_UNKNOWN_FIELDS) context.unknownFields.push(text);
}
