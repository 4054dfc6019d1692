import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";

/** Where schemas are, in v3 and in v2. */
const V3_SCHEMAS = "#/components/schemas/";
const V2_SCHEMAS = "#/definitions/";
/** What v2 cannot say; a client that checks against it checks less. */
const UNSAYABLE = ["allOf", "anyOf", "not", "nullable", "oneOf"];
const GROUP_VERSION_KINDS = "x-kubernetes-group-version-kind";
const DEFAULT_TYPES = ["application/json"];

/**
 * `/openapi/v2`: all documents of v3 as one of Swagger 2.0, for older clients and for those that want everything
 * at once.
 * @param documents As `openApiV3` makes them.
 */
export function openApiV2(
  documents: readonly JsonObject[],
  info: { readonly title: string; readonly version: string },
): JsonObject {
  const paths: Record<string, unknown> = {};
  const definitions: Record<string, unknown> = {};
  for (const document of documents) {
    for (const [path, item] of entries(document["paths"])) paths[path] = pathItem(item);
    const { schemas } = asObject(document["components"]);
    for (const [name, schema] of entries(schemas)) {
      definitions[name] = merged(definitions[name], schemaOf(schema));
    }
  }
  return {
    swagger: "2.0",
    info,
    paths: sorted(paths),
    definitions: sorted(definitions),
    securityDefinitions: {
      BearerToken: {
        description: "Bearer Token authentication",
        type: "apiKey",
        name: "authorization",
        in: "header",
      },
    },
    security: [{ BearerToken: [] }],
  };
}

/** The same schema of two groups; each marks it with its own kinds (DeleteOptions). */
function merged(known: unknown, schema: unknown): unknown {
  const marks = [known, schema].flatMap((one) => {
    const own = asObject(one)[GROUP_VERSION_KINDS];
    return Array.isArray(own) ? own : [];
  });
  if (known === undefined || marks.length === 0) return schema;
  const texts = new Set(marks.map((mark) => JSON.stringify(mark)));
  const unique = [...texts].toSorted().map((text): unknown => JSON.parse(text));
  return { ...asObject(schema), [GROUP_VERSION_KINDS]: unique };
}

function pathItem(item: unknown): JsonObject {
  return Object.fromEntries(
    entries(item).map(([name, value]) => [
      name,
      name === "parameters" ? parametersOf(value) : operationOf(asObject(value)),
    ]),
  );
}

function operationOf(operation: JsonObject): JsonObject {
  const { parameters, requestBody, responses, ...rest } = operation;
  const body = asObject(requestBody);
  const contents = entries(body["content"]);
  const inBody = contents.slice(0, 1).map(([, content]) => ({
    name: "body",
    in: "body",
    ...(body["required"] === true ? { required: true } : {}),
    schema: schemaOf(asObject(content)["schema"]),
  }));
  const answers = entries(responses).map(([code, response]) => {
    const { content, ...kept } = asObject(response);
    const [first] = entries(content);
    const schema = first === undefined ? {} : { schema: schemaOf(asObject(first[1])["schema"]) };
    return {
      code,
      types: entries(content).map(([type]) => type),
      response: { ...kept, ...schema },
    };
  });
  const types = answers.flatMap((answer) => answer.types);
  return {
    ...rest,
    consumes: contents.length === 0 ? ["*/*"] : contents.map(([type]) => type),
    produces: types.length === 0 ? DEFAULT_TYPES : [...new Set(types)],
    parameters: [...inBody, ...parametersOf(parameters)],
    responses: Object.fromEntries(answers.map(({ code, response }) => [code, response])),
  };
}

/** In v2 the type stands in the parameter itself. */
function parametersOf(parameters: unknown): readonly JsonObject[] {
  if (!Array.isArray(parameters)) return [];
  return parameters.map((parameter: unknown) => {
    const { schema, ...rest } = asObject(parameter);
    return { ...rest, ...asObject(schema) };
  });
}

/** Below `properties` keys are names of fields; everywhere else they are keywords. */
function schemaOf(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(schemaOf);
  if (!isJsonObject(schema)) return schema;
  const kept = Object.entries(schema)
    .filter(([key]) => !UNSAYABLE.includes(key))
    .map(([key, value]): [string, unknown] => [key, keywordOf(key, value)]);
  const [only, ...others] = asArray(schema["allOf"]);
  // v3 says `allOf` where something stands beside a reference; in v2 it may.
  const reference = others.length === 0 ? asObject(only)["$ref"] : undefined;
  const isText = asArray(schema["oneOf"]).some((one) => asObject(one)["type"] === "string");
  return {
    ...(isText && schema["type"] === undefined ? { type: "string" } : {}),
    ...Object.fromEntries(kept),
    ...(reference === undefined ? {} : { $ref: keywordOf("$ref", reference) }),
  };
}

function keywordOf(key: string, value: unknown): unknown {
  switch (key) {
    case "$ref":
      return typeof value === "string" ? value.replace(V3_SCHEMAS, V2_SCHEMAS) : value;
    case "properties":
      return Object.fromEntries(entries(value).map(([name, field]) => [name, schemaOf(field)]));
    case "items":
    case "additionalProperties":
      return schemaOf(value);
    default:
      return value;
  }
}

function sorted(object: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function entries(value: unknown): readonly (readonly [string, unknown])[] {
  return Object.entries(asObject(value));
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
