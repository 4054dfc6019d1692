import type { JsonObject } from "./json.ts";
import type { KindDefinition } from "./kind.ts";
import { PATCH_SCHEMA, refTo } from "./openapi-schemas.ts";

/** A kind as an operation names it. */
type Acted = Pick<KindDefinition, "group" | "version" | "kind">;

const PATCH_MEDIA_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/**
 * An operation of OpenAPI v3.
 * @param action What it does, in the words of `x-kubernetes-action`.
 * @param result Name of the schema of the answer; undefined where it is a Status or an object, or no JSON at all.
 */
export function operation(
  kind: Acted,
  action: string,
  parameters: readonly JsonObject[],
  result: string | undefined,
): JsonObject {
  const content =
    result === undefined ? {} : { content: { "application/json": { schema: refTo(result) } } };
  return {
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": {
      group: kind.group,
      version: kind.version,
      kind: kind.kind,
    },
    parameters,
    responses: { 200: { description: "OK", ...content } },
  };
}

/** The operation with a body. @param schema Its name; undefined: any object. */
export function withBody(base: JsonObject, schema: string | undefined): JsonObject {
  const content = { "*/*": { schema: schema === undefined ? { type: "object" } : refTo(schema) } };
  return { ...base, requestBody: { required: true, content } };
}

/** PATCH, whose body may be any of the four kinds of patch; custom resources have no strategic merge. */
export function patchOperation(kind: Acted, isCustom: boolean, schema: string | undefined) {
  // kubectl asks here which patches a kind takes.
  const types = PATCH_MEDIA_TYPES.filter((type) => !isCustom || !type.includes("strategic"));
  const content = types.map((type) => [type, { schema: refTo(PATCH_SCHEMA) }]);
  return {
    ...operation(kind, "patch", [...WRITE_PARAMETERS, query("force", "boolean")], schema),
    requestBody: { required: true, content: Object.fromEntries(content) },
  };
}

export function query(name: string, type: "string" | "boolean" | "integer"): JsonObject {
  return { name, in: "query", schema: { type, uniqueItems: true } };
}

function path(name: string): JsonObject {
  return { name, in: "path", required: true, schema: { type: "string", uniqueItems: true } };
}

export const NAME = path("name");
export const NAMESPACE = path("namespace");
/** What follows `/proxy/`. */
export const REST = path("path");

export const WRITE_PARAMETERS = [
  query("dryRun", "string"),
  query("fieldManager", "string"),
  query("fieldValidation", "string"),
];

export const DELETE_PARAMETERS = [
  query("dryRun", "string"),
  query("gracePeriodSeconds", "integer"),
  query("propagationPolicy", "string"),
];

export const LIST_PARAMETERS = [
  query("allowWatchBookmarks", "boolean"),
  query("continue", "string"),
  query("fieldSelector", "string"),
  query("labelSelector", "string"),
  query("limit", "integer"),
  query("resourceVersion", "string"),
  query("resourceVersionMatch", "string"),
  query("sendInitialEvents", "boolean"),
  query("timeoutSeconds", "integer"),
  query("watch", "boolean"),
];
