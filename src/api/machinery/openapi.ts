import { verbsOf } from "./discovery.ts";
import type { ServedSubresource } from "./discovery.ts";
import { deleteOptions } from "./delete-options.ts";
import type { JsonObject } from "./json.ts";
import type { KindDefinition } from "./kind.ts";
import {
  DELETE_PARAMETERS,
  LIST_PARAMETERS,
  NAME,
  NAMESPACE,
  WRITE_PARAMETERS,
  operation,
  patchOperation,
  withBody,
} from "./openapi-operations.ts";
import { withOperationIds } from "./openapi-operation-ids.ts";
import { WATCH_EVENT_SCHEMA, componentSchemas, listSchemaName, refTo } from "./openapi-schemas.ts";
import { subresourcePaths } from "./openapi-subresources.ts";
import type { SubresourceSchemas } from "./openapi-subresources.ts";

type Described = Pick<
  KindDefinition,
  "group" | "version" | "kind" | "plural" | "namespaced" | "schema" | "custom"
> & {
  /** Absent for a kind that is not stored: it can only be created. */
  readonly strategy?: Pick<KindDefinition["strategy"], "prepareForStatusUpdate">;
};

/** What there is beside objects and `/status`. */
interface Subresources {
  readonly served: readonly ServedSubresource[];
  readonly schemas: SubresourceSchemas;
}

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
  subresources: Subresources = { served: [], schemas: {} },
): JsonObject {
  const own = kinds.map((kind) => ({
    kind,
    served: subresources.served.filter(
      ({ parent }) =>
        parent.group === kind.group &&
        parent.version === kind.version &&
        parent.plural === kind.plural,
    ),
  }));
  const messages = own
    .flatMap(({ served }) => served.map(({ responseKind }) => responseKind))
    .flatMap((responseKind) => {
      const schema = subresources.schemas[responseKind.kind];
      return schema === undefined ? [] : [{ ...responseKind, schema }];
    });
  const paths = own.flatMap(({ kind, served }) => [
    ...pathsOf(kind),
    ...served.flatMap((one) =>
      subresourcePaths(
        objectPath(kind),
        kind.namespaced,
        { ...one, parent: kind },
        subresources.schemas,
        kind.schema.name,
      ),
    ),
  ]);
  return {
    openapi: "3.0.0",
    info,
    paths: Object.fromEntries(withOperationIds(paths, kinds)),
    components: { schemas: componentSchemas(kinds, messages) },
  };
}

type Placed = Pick<Described, "group" | "version" | "plural" | "namespaced">;

function collectionPath(kind: Placed, root: string): string {
  return kind.namespaced
    ? `${root}/namespaces/{namespace}/${kind.plural}`
    : `${root}/${kind.plural}`;
}

function objectPath(kind: Placed): string {
  return `${collectionPath(kind, `/${groupVersionPath(kind)}`)}/{name}`;
}

function pathsOf(kind: Described): readonly (readonly [string, JsonObject])[] {
  const root = `/${groupVersionPath(kind)}`;
  const collection = collectionPath(kind, root);
  const object = objectPath(kind);
  const scope = kind.namespaced ? [NAMESPACE] : [];
  const schema = kind.schema.name;
  const post = withBody(operation(kind, "post", WRITE_PARAMETERS, schema), schema);
  if (kind.strategy === undefined) return [[collection, { parameters: scope, post }]];
  const list = operation(kind, "list", LIST_PARAMETERS, listSchemaName(kind));
  const change = {
    put: withBody(operation(kind, "put", WRITE_PARAMETERS, schema), schema),
    patch: patchOperation(kind, kind.custom !== undefined, schema),
  };
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
        get: operation(kind, "get", [], schema),
        ...change,
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
              get: operation(kind, "get", [], schema),
              ...change,
            },
          ] as const,
        ]),
    // As upstream, which serves the old form for custom resources too and does not tell of it.
    ...(kind.custom === undefined ? watchPaths(kind, `${root}/watch`) : []),
  ];
}

/** The old form of watches, deprecated since Kubernetes 1.11 and still served. */
function watchPaths(kind: Described, root: string): readonly (readonly [string, JsonObject])[] {
  const scope = kind.namespaced ? [NAMESPACE] : [];
  const watch = (action: string): JsonObject =>
    operation(kind, action, LIST_PARAMETERS, WATCH_EVENT_SCHEMA);
  const collection = collectionPath(kind, root);
  return [
    ...(kind.namespaced ? [[`${root}/${kind.plural}`, { get: watch("watchlist") }] as const] : []),
    [collection, { parameters: scope, get: watch("watchlist") }],
    [`${collection}/{name}`, { parameters: [...scope, NAME], get: watch("watch") }],
  ];
}
