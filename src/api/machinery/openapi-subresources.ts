import type { ServedSubresource } from "./discovery.ts";
import type { JsonObject } from "./json.ts";
import {
  NAME,
  NAMESPACE,
  REST,
  WRITE_PARAMETERS,
  operation,
  patchOperation,
  query,
  withBody,
} from "./openapi-operations.ts";
import type { MessageType } from "./schema.ts";

/** Schemas of what goes over the wire at subresources, by kind, such as Binding. */
export type SubresourceSchemas = Readonly<Record<string, MessageType>>;

type Path = readonly [path: string, item: JsonObject];

const STREAMS = [
  query("container", "string"),
  query("stderr", "boolean"),
  query("stdin", "boolean"),
  query("stdout", "boolean"),
  query("tty", "boolean"),
];

/** What a connection may be asked for, by the kind of its options. Source: upstream `apis/core/types.go`. */
const CONNECT_PARAMETERS: Readonly<Record<string, readonly JsonObject[]>> = {
  PodAttachOptions: STREAMS,
  PodExecOptions: [query("command", "string"), ...STREAMS],
  PodPortForwardOptions: [query("ports", "integer")],
  PodProxyOptions: [query("path", "string")],
  ServiceProxyOptions: [query("path", "string")],
  NodeProxyOptions: [query("path", "string")],
};

/** Source: upstream `PodLogOptions`. */
const LOG_PARAMETERS = [
  query("container", "string"),
  query("follow", "boolean"),
  query("insecureSkipTLSVerifyBackend", "boolean"),
  query("limitBytes", "integer"),
  query("pretty", "string"),
  query("previous", "boolean"),
  query("sinceSeconds", "integer"),
  query("sinceTime", "string"),
  query("tailLines", "integer"),
  query("timestamps", "boolean"),
];

const PROXY_METHODS = ["delete", "get", "head", "options", "patch", "post", "put"];
const STREAM_METHODS = ["get", "post"];

/**
 * The paths of a subresource below the path of its object.
 * @param own Name of the schema of the object itself, which some subresources take.
 */
export function subresourcePaths(
  object: string,
  isNamespaced: boolean,
  served: ServedSubresource,
  schemas: SubresourceSchemas,
  own: string,
): readonly Path[] {
  const path = `${object}/${served.name}`;
  const parameters = [...(isNamespaced ? [NAMESPACE] : []), NAME];
  const { kind } = served.responseKind;
  const connect = CONNECT_PARAMETERS[kind];
  if (connect !== undefined) {
    const isProxy = served.name === "proxy";
    const methods = isProxy ? PROXY_METHODS : STREAM_METHODS;
    const operations = Object.fromEntries(
      methods.map((method) => [
        method,
        operation(served.responseKind, "connect", connect, undefined),
      ]),
    );
    return [
      [path, { parameters, ...operations }],
      ...(isProxy
        ? [[`${path}/{path}`, { parameters: [...parameters, REST], ...operations }] as const]
        : []),
    ];
  }
  if (served.name === "log") {
    const get = operation(served.responseKind, "get", LOG_PARAMETERS, undefined);
    const content = { "text/plain": { schema: { type: "string" } } };
    return [
      [path, { parameters, get: { ...get, responses: { 200: { description: "OK", content } } } }],
    ];
  }
  const isOwn = kind === served.parent.kind;
  return [[path, { parameters, ...writes(served, isOwn ? own : schemas[kind]?.name) }]];
}

function writes({ responseKind, verbs, parent }: ServedSubresource, schema: string | undefined) {
  const isCustom = parent.custom !== undefined;
  const operations: Record<string, JsonObject> = {};
  for (const verb of verbs) {
    switch (verb) {
      case "get":
        operations["get"] = operation(responseKind, "get", [], schema);
        break;
      case "create":
        operations["post"] = withBody(
          operation(responseKind, "post", WRITE_PARAMETERS, schema),
          schema,
        );
        break;
      case "update":
        operations["put"] = withBody(
          operation(responseKind, "put", WRITE_PARAMETERS, schema),
          schema,
        );
        break;
      case "patch":
        operations["patch"] = patchOperation(responseKind, isCustom, schema);
        break;
      default:
        throw new Error(`a subresource has no verb ${JSON.stringify(verb)}`);
    }
  }
  return operations;
}
