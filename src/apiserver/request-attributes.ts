import { parseFieldSelector } from "../api/machinery/field-selector.ts";
import { resourceAttributes } from "../core/authorization/attributes.ts";
import type { Attributes } from "../core/authorization/attributes.ts";
import type { ApiRequest } from "./exchange.ts";
import { isTrue } from "./query.ts";
import type { Route } from "./routes.ts";

type Method = ApiRequest["method"];

/**
 * What a request wants, in the words of permissions; read from the same route that answers it, so that the two
 * cannot differ. A path that no route is known for is a path. Source: upstream
 * `apiserver/pkg/endpoints/request:RequestInfoFactory`.
 */
export function attributesOf(
  method: Method,
  route: Route | undefined,
  path: string,
  query: URLSearchParams,
): Attributes {
  switch (route?.kind) {
    case "resource": {
      const { definition, namespace, subresource = "", watch } = route;
      const { group, version, plural: resource } = definition;
      const isOne = route.name !== undefined;
      const selects = isOne ? undefined : selectedFields(query.get("fieldSelector"));
      const name = route.name ?? selects?.get("metadata.name") ?? "";
      const isWatch = watch || (subresource === "" && isTrue(query.get("watch")));
      const verb = verbOf(method, isOne, isWatch);
      return resourceAttributes({
        verb,
        group,
        version,
        resource,
        subresource,
        // A Namespace is within itself, so that its own roles can speak of it.
        namespace: group === "" && resource === "namespaces" ? (route.name ?? "") : namespace,
        name: isOne || NARROWED.includes(verb) ? name : "",
        ...(selects === undefined ? {} : { selects }),
      });
    }
    case "review": {
      const { group, version, plural: resource } = route.definition;
      const verb = verbOf(method, false, false);
      return resourceAttributes({ verb, group, version, resource, namespace: route.namespace });
    }
    case "discovery":
    case "other":
    case undefined:
      return { kind: "path", verb: method.toLowerCase(), path };
  }
}

/** Requests without a name that a field selector may limit to one object. */
const NARROWED = ["list", "watch", "deletecollection"];

function verbOf(method: Method, isOne: boolean, isWatch: boolean): string {
  switch (method) {
    case "GET":
    case "HEAD":
      return isWatch ? "watch" : isOne ? "get" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return isOne ? "delete" : "deletecollection";
    case "OPTIONS":
      return "options";
  }
}

function selectedFields(selector: string | null): ReadonlyMap<string, string> | undefined {
  if (selector === null || selector === "") return undefined;
  const parsed = parseFieldSelector(selector);
  // A malformed one is refused when it is used.
  if (parsed.kind === "malformed") return undefined;
  const exact = parsed.requirements.filter(({ operator }) => operator === "=");
  return new Map(exact.map(({ path, value }) => [path, value]));
}
