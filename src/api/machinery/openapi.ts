import { verbsOf } from "./discovery.ts";
import { deleteOptions } from "./delete-options.ts";
import type { JsonObject } from "./json.ts";
import type { KindDefinition } from "./kind.ts";
import { PATCH_SCHEMA, componentSchemas, listSchemaName, refTo } from "./openapi-schemas.ts";

type Described = Pick<
  KindDefinition,
  "group" | "version" | "kind" | "plural" | "namespaced" | "schema" | "custom"
> & {
  /** Absent for a kind that is not stored: it can only be created. */
  readonly strategy?: Pick<KindDefinition["strategy"], "prepareForStatusUpdate">;
};

const PATCH_MEDIA_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/** Where the documents of a group and version are served: `api/v1`, `apis/discovery.k8s.io/v1`. */
export function groupVersionPath(kind: Pick<KindDefinition, "group" | "version">): string {
  return kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;
}

/** `/openapi/v3`: the documents there are. `hash` changes when the document does; clients cache by it. */
export function openApiV3Index(
  documents: readonly { readonly path: string; readonly hash: string }[],
): JsonObject {
  return {
    paths: Object.fromEntries(
      documents.map(({ path, hash }) => [
        path,
        { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
      ]),
    ),
  };
}

/**
 * The OpenAPI v3 document of the kinds of one group and version.
 *
 * kubectl reads of it: the schemas of kinds (explain; merge keys for apply), and of each PATCH operation its
 * kind, whether it takes `fieldValidation` and `dryRun`, and which kinds of patch its body may be.
 */
export function openApiV3(
  kinds: readonly Described[],
  info: { readonly title: string; readonly version: string },
): JsonObject {
  return {
    openapi: "3.0.0",
    info,
    paths: Object.fromEntries(kinds.flatMap(pathsOf)),
    components: { schemas: componentSchemas(kinds) },
  };
}

function pathsOf(kind: Described): readonly (readonly [string, JsonObject])[] {
  const root = `/${groupVersionPath(kind)}`;
  const collection = kind.namespaced
    ? `${root}/namespaces/{namespace}/${kind.plural}`
    : `${root}/${kind.plural}`;
  const object = `${collection}/{name}`;
  const scope = kind.namespaced ? [NAMESPACE] : [];
  const post = withBody(kind, operation(kind, "post", WRITE_PARAMETERS, kind.schema.name));
  if (kind.strategy === undefined) return [[collection, { parameters: scope, post }]];
  const list = operation(kind, "list", LIST_PARAMETERS, listSchemaName(kind));
  return [
    ...(kind.namespaced ? [[`${root}/${kind.plural}`, { get: list }] as const] : []),
    [
      collection,
      {
        parameters: scope,
        get: list,
        post,
        ...(verbsOf(kind).includes("deletecollection")
          ? { delete: operation(kind, "deletecollection", LIST_PARAMETERS, undefined) }
          : {}),
      },
    ],
    [
      object,
      {
        parameters: [...scope, NAME],
        get: operation(kind, "get", [], kind.schema.name),
        put: withBody(kind, operation(kind, "put", WRITE_PARAMETERS, kind.schema.name)),
        patch: patchOperation(kind),
        delete: {
          ...operation(kind, "delete", DELETE_PARAMETERS, undefined),
          requestBody: { content: { "*/*": { schema: refTo(deleteOptions.name) } } },
        },
      },
    ],
    ...(kind.strategy.prepareForStatusUpdate === undefined
      ? []
      : [
          [
            `${object}/status`,
            {
              parameters: [...scope, NAME],
              get: operation(kind, "get", [], kind.schema.name),
              put: withBody(kind, operation(kind, "put", WRITE_PARAMETERS, kind.schema.name)),
              patch: patchOperation(kind),
            },
          ] as const,
        ]),
  ];
}

/** @param result Name of the schema of the answer; undefined where it is a Status or an object. */
function operation(
  kind: Described,
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

function withBody(kind: Described, base: JsonObject): JsonObject {
  const content = { "*/*": { schema: refTo(kind.schema.name) } };
  return { ...base, requestBody: { required: true, content } };
}

function patchOperation(kind: Described): JsonObject {
  // kubectl asks here which patches a kind takes.
  const types = PATCH_MEDIA_TYPES.filter(
    (type) => kind.custom === undefined || !type.includes("strategic"),
  );
  const content = types.map((type) => [type, { schema: refTo(PATCH_SCHEMA) }]);
  return {
    ...operation(kind, "patch", [...WRITE_PARAMETERS, query("force", "boolean")], kind.schema.name),
    requestBody: { required: true, content: Object.fromEntries(content) },
  };
}

function query(name: string, type: "string" | "boolean" | "integer"): JsonObject {
  return { name, in: "query", schema: { type, uniqueItems: true } };
}

function path(name: string): JsonObject {
  return { name, in: "path", required: true, schema: { type: "string", uniqueItems: true } };
}

const NAME = path("name");
const NAMESPACE = path("namespace");

const WRITE_PARAMETERS = [
  query("dryRun", "string"),
  query("fieldManager", "string"),
  query("fieldValidation", "string"),
];

const DELETE_PARAMETERS = [
  query("dryRun", "string"),
  query("gracePeriodSeconds", "integer"),
  query("propagationPolicy", "string"),
];

const LIST_PARAMETERS = [
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
