import { deleteOptions } from "./delete-options.ts";
import type { JsonObject } from "./json.ts";
import { jsonFieldsOf, resolved } from "./json-fields.ts";
import type { KindDefinition } from "./kind.ts";
import { objectMeta } from "./metadata.ts";
import type { Field, ListType, MessageType, SchemaType } from "./schema.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/** Name of a schema that requests and responses refer to. */
export const PATCH_SCHEMA = `${META}.Patch`;
/** Name of the schema of what a watch sends. */
export const WATCH_EVENT_SCHEMA = `${META}.WatchEvent`;

type Described = Pick<KindDefinition, "group" | "version" | "kind" | "schema"> &
  Partial<Pick<KindDefinition, "custom">>;

/** What a schema in `components` is called when it is the list of a kind. */
export function listSchemaName(kind: Pick<KindDefinition, "schema">): string {
  return `${kind.schema.name}List`;
}

export function refTo(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

/**
 * `components.schemas` of an OpenAPI v3 document: the kinds, their lists, and all that they refer to, by name.
 * With the extensions that kubectl needs to explain kinds and to make strategic merge patches.
 * @param messages What goes over the wire at subresources; there are no lists of these.
 */
export function componentSchemas(
  kinds: readonly Described[],
  messages: readonly Described[],
): JsonObject {
  const schemas = new Map<string, JsonObject>(Object.entries(SHARED));
  for (const message of messages) addMessage(schemas, message.schema, [message]);
  for (const kind of kinds) {
    if (kind.custom === undefined) addMessage(schemas, kind.schema, [kind]);
    else {
      schemas.set(kind.schema.name, kind.custom.openApi());
      addMessage(schemas, objectMeta);
    }
    schemas.set(listSchemaName(kind), listSchema(kind));
  }
  addMessage(
    schemas,
    deleteOptions,
    kinds.map(({ group, version }) => ({ group, version, kind: "DeleteOptions" })),
  );
  return Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Schemas of scalars that Go has types for; explain shows their names. */
const SHARED: Readonly<Record<string, JsonObject>> = {
  [QUANTITY]: {
    description: "An amount with a suffix, such as 500m or 1Gi.",
    oneOf: [{ type: "string" }, { type: "number" }],
  },
  [INT_OR_STRING]: {
    description: "A number or a name.",
    format: "int-or-string",
    oneOf: [{ type: "integer" }, { type: "string" }],
  },
  [`${META}.Time`]: { description: "RFC 3339.", type: "string", format: "date-time" },
  [`${META}.MicroTime`]: {
    description: "RFC 3339 with microseconds.",
    type: "string",
    format: "date-time",
  },
  [WATCH_EVENT_SCHEMA]: {
    description: "A change that a watch tells of.",
    type: "object",
    required: ["type", "object"],
    properties: {
      object: { type: "object", description: "The object after the change, or a Status." },
      type: { default: "", type: "string" },
    },
  },
  [PATCH_SCHEMA]: { description: "A patch, in the form that its media type says.", type: "object" },
  [`${META}.ListMeta`]: {
    description: "What every list carries.",
    type: "object",
    properties: {
      continue: { type: "string", description: "Ask for the next page with this token." },
      remainingItemCount: { type: "integer", format: "int64" },
      resourceVersion: { type: "string", description: "Version at which the list was read." },
      selfLink: { type: "string" },
    },
  },
};

function listSchema(kind: Described): JsonObject {
  return {
    description: `A list of objects of kind ${kind.kind}.`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { default: {}, allOf: [refTo(`${META}.ListMeta`)] },
      items: { type: "array", items: { default: {}, allOf: [refTo(kind.schema.name)] } },
    },
    "x-kubernetes-group-version-kind": groupVersionKinds([{ ...kind, kind: `${kind.kind}List` }]),
  };
}

type KindName = Pick<KindDefinition, "group" | "version" | "kind">;

function groupVersionKinds(kinds: readonly KindName[]): readonly JsonObject[] {
  const names = kinds.map(({ group, version, kind }) => ({ group, kind, version }));
  return names.filter(
    (a, i) => names.findIndex((b) => a.group === b.group && a.version === b.version) === i,
  );
}

function addMessage(
  schemas: Map<string, JsonObject>,
  type: MessageType,
  kinds: readonly KindName[] = [],
): void {
  if (schemas.has(type.name)) return;
  const { fields, preserveUnknown } = jsonFieldsOf(type);
  const required = [...fields].filter(([, field]) => field.required).map(([name]) => name);
  const properties: Record<string, JsonObject> = {};
  // Set before its members are looked at, which may lead back here.
  schemas.set(type.name, {
    description: type.description,
    type: "object",
    ...(required.length === 0 ? {} : { required: required.toSorted() }),
    ...(fields.size === 0 ? {} : { properties }),
    ...(kinds.length === 0 ? {} : { "x-kubernetes-group-version-kind": groupVersionKinds(kinds) }),
    ...(type.atomic === true ? { "x-kubernetes-map-type": "atomic" } : {}),
    ...(preserveUnknown ? { "x-kubernetes-preserve-unknown-fields": true } : {}),
  });
  for (const [name, field] of fields) {
    properties[name] = fieldSchema(field);
    addReferences(schemas, field.type);
  }
}

function addReferences(schemas: Map<string, JsonObject>, type: SchemaType): void {
  const actual = resolved(type);
  switch (actual.kind) {
    case "message":
      addMessage(schemas, actual);
      return;
    case "list":
      addReferences(schemas, actual.element);
      return;
    case "map":
      addReferences(schemas, actual.value);
      return;
    case "scalar":
      return;
  }
}

function fieldSchema(field: Field): JsonObject {
  const siblings = {
    ...(field.description === undefined ? {} : { description: field.description }),
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(field.enum === undefined ? {} : { enum: field.enum }),
    ...patchExtensions(field),
  };
  const type = typeSchema(field.type);
  // In OpenAPI v3 a $ref hides what stands beside it.
  const isRef = Object.hasOwn(type, "$ref");
  return isRef && Object.keys(siblings).length > 0
    ? { ...siblings, allOf: [type] }
    : { ...siblings, ...type };
}

function patchExtensions({ type, retainKeys }: Field): JsonObject {
  const list = resolved(type);
  const mergeKey = list.kind === "list" ? list.mergeKey : undefined;
  const strategies = [
    ...(mergeKey === undefined ? [] : ["merge"]),
    ...(retainKeys === true ? ["retainKeys"] : []),
  ];
  return {
    ...(mergeKey === undefined || mergeKey === ""
      ? {}
      : { "x-kubernetes-patch-merge-key": mergeKey }),
    ...(strategies.length === 0 ? {} : { "x-kubernetes-patch-strategy": strategies.join(",") }),
  };
}

function typeSchema(type: SchemaType): JsonObject {
  const actual = resolved(type);
  switch (actual.kind) {
    case "message":
      return refTo(actual.name);
    case "list":
      return { type: "array", items: typeSchema(actual.element), ...listExtensions(actual) };
    case "map":
      return {
        type: "object",
        additionalProperties: typeSchema(actual.value),
        ...(actual.mapType === "atomic" ? { "x-kubernetes-map-type": "atomic" } : {}),
      };
    case "scalar":
      return SCALARS[actual.scalar];
  }
}

function listExtensions({ listType, mapKeys }: ListType): JsonObject {
  return {
    "x-kubernetes-list-type": listType,
    ...(mapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": mapKeys }),
  };
}

const SCALARS = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
  bytes: { type: "string", format: "byte" },
  quantity: refTo(QUANTITY),
  intOrString: refTo(INT_OR_STRING),
  time: refTo(`${META}.Time`),
  microTime: refTo(`${META}.MicroTime`),
  json: { type: "object" },
} as const;
