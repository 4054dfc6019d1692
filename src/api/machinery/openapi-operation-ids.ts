import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { KindDefinition } from "./kind.ts";

type Named = Pick<KindDefinition, "group" | "kind" | "plural" | "namespaced">;

/** What generated clients call what is done, by `x-kubernetes-action`. */
const VERBS: Readonly<Record<string, string>> = {
  connect: "connect",
  delete: "delete",
  deletecollection: "delete",
  get: "read",
  list: "list",
  patch: "patch",
  post: "create",
  put: "replace",
  watch: "watch",
  watchlist: "watch",
};

/**
 * The paths of one group and version with the names and tags that generators of clients make methods and classes
 * from, such as `listCoreV1NamespacedPod` and `core_v1`. Source: upstream
 * `k8s.io/apiserver/pkg/endpoints/openapi:GetOperationIDAndTags`, `endpoints/installer.go`.
 * @param kinds all kinds that the paths are of.
 */
export function withOperationIds(
  paths: readonly (readonly [path: string, item: JsonObject])[],
  kinds: readonly Named[],
): readonly (readonly [string, JsonObject])[] {
  return paths.map(([path, item]) => {
    const place = placeOf(path, kinds);
    const named = Object.entries(item).map(([method, value]): [string, unknown] => [
      method,
      isJsonObject(value) && typeof value["x-kubernetes-action"] === "string"
        ? {
            operationId: idOf(place, method, value["x-kubernetes-action"]),
            tags: [place.tag],
            ...value,
          }
        : value,
    ]);
    return [path, Object.fromEntries(named)];
  });
}

interface Place {
  /** `CoreV1` */
  readonly groupVersion: string;
  /** `core_v1` */
  readonly tag: string;
  readonly isNamespaced: boolean;
  readonly isOfAllNamespaces: boolean;
  readonly kind: string;
  /** `Status`; "" for the object itself. */
  readonly subresource: string;
  readonly hasRest: boolean;
}

/** Reads `/apis/GROUP/VERSION[/watch][/namespaces/{namespace}]/PLURAL[/{name}[/SUBRESOURCE[/{path}]]]`. */
function placeOf(path: string, kinds: readonly Named[]): Place {
  const [, root, ...afterRoot] = path.split("/");
  const words = root === "api" ? afterRoot : afterRoot.slice(1);
  const [version = "", ...rest] = words[1] === "watch" ? words.toSpliced(1, 1) : words;
  const isNamespaced = rest[1] === "{namespace}";
  const [plural, name, subresource = "", ...more] = isNamespaced ? rest.slice(2) : rest;
  const kind = kinds.find((one) => one.plural === plural);
  if (kind === undefined) throw new Error(`${path} is of no kind that is described`);
  const group = kind.group === "" ? "core" : kind.group.replace(/\.k8s\.io$/, "");
  const camel = group.split(".").map(title).join("");
  return {
    groupVersion: `${camel}${title(version)}`,
    tag: `${camel.charAt(0).toLowerCase()}${camel.slice(1)}_${version}`,
    isNamespaced,
    isOfAllNamespaces: kind.namespaced && !isNamespaced && name === undefined,
    kind: kind.kind,
    subresource: title(subresource),
    hasRest: more.length > 0,
  };
}

function idOf(place: Place, method: string, action: string): string {
  const verb = VERBS[action];
  if (verb === undefined) throw new Error(`no name for the action ${JSON.stringify(action)}`);
  return [
    verb,
    place.groupVersion,
    action === "connect" ? title(method) : "",
    action === "deletecollection" ? "Collection" : "",
    place.isNamespaced ? "Namespaced" : "",
    place.kind,
    place.subresource,
    action === "watchlist" ? "List" : "",
    place.hasRest ? "WithPath" : "",
    place.isOfAllNamespaces ? "ForAllNamespaces" : "",
  ].join("");
}

function title(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
