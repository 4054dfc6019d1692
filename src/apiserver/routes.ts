import type { KindDefinition, ReviewKind } from "../api/machinery/kind.ts";

/** What a path asks for. `name` and `subresource` are undefined for a collection. */
export interface ResourceRoute {
  readonly kind: "resource";
  readonly definition: KindDefinition;
  /** "" means all namespaces, or a kind of the cluster. */
  readonly namespace: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows the subresource, for proxies. */
  readonly rest: string;
  /** The old `/watch/` form of the path. */
  readonly watch: boolean;
}

/** A question that is asked by creating an object that is not stored. */
export interface ReviewRoute {
  readonly kind: "review";
  readonly definition: ReviewKind;
  /** "" for those of the cluster. */
  readonly namespace: string;
}

export type Route =
  | ResourceRoute
  | ReviewRoute
  /** `/api`, `/apis`, and the documents below them. */
  | { readonly kind: "discovery"; readonly path: string }
  | { readonly kind: "other"; readonly path: string };

export type RouteTable = ReadonlyMap<string, KindDefinition>;

export function routeTable(kinds: readonly KindDefinition[]): Map<string, KindDefinition> {
  return new Map(kinds.map((kind) => [routeKey(kind), kind]));
}

/** Where a kind stands in the table. */
export function routeKey(kind: Pick<KindDefinition, "group" | "version" | "plural">): string {
  return `${kind.group}/${kind.version}/${kind.plural}`;
}

/**
 * Reads the path part of a URL by the grammar that all Kubernetes APIs share:
 * `/api/V` or `/apis/G/V`, then `[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]`.
 * @returns undefined when a segment is not valid percent-encoding or the resource is not served.
 */
export function parseRoute(path: string, table: RouteTable): Route | undefined {
  const segments = decodeSegments(path);
  if (segments === undefined) return undefined;
  const [root, ...below] = segments;
  if (root !== "api" && root !== "apis") return { kind: "other", path };
  const [group = "", version = "", ...rest] = root === "api" ? ["", ...below] : below;
  if (rest.length === 0) return { kind: "discovery", path: `/${segments.join("/")}` };
  const watch = rest[0] === "watch";
  return resourceRoute(group, version, watch ? rest.slice(1) : rest, watch, table);
}

function resourceRoute(
  group: string,
  version: string,
  segments: readonly string[],
  watch: boolean,
  table: RouteTable,
): ResourceRoute | undefined {
  const find = (plural: string | undefined) => table.get(`${group}/${version}/${plural ?? ""}`);
  const [first, namespace = "", plural] = segments;
  const inside = first === "namespaces" && plural !== undefined ? find(plural) : undefined;
  const namespaced = inside?.namespaced === true;
  const definition = namespaced ? inside : find(first);
  if (definition === undefined) return undefined;
  const [name, subresource, ...rest] = segments.slice(namespaced ? 3 : 1);
  return {
    kind: "resource",
    definition,
    namespace: namespaced ? namespace : "",
    name: name === "" ? undefined : name,
    subresource: subresource === "" ? undefined : subresource,
    rest: rest.join("/"),
    watch,
  };
}

/** Reads `/apis/G/V/[namespaces/NS/]RESOURCE` of kinds that are only asked about. */
export function parseReviewRoute(
  path: string,
  reviews: readonly ReviewKind[],
): ReviewRoute | undefined {
  const [root, group, version, ...rest] = decodeSegments(path) ?? [];
  if (root !== "apis") return undefined;
  const inside = rest.length === 3 && rest[0] === "namespaces";
  const [namespace = "", plural] = inside ? rest.slice(1) : ["", ...rest];
  if (!inside && rest.length !== 1) return undefined;
  const definition = reviews.find(
    (kind) =>
      kind.group === group &&
      kind.version === version &&
      kind.plural === plural &&
      kind.namespaced === inside,
  );
  return definition && { kind: "review", definition, namespace };
}

function decodeSegments(path: string): readonly string[] | undefined {
  const trimmed = path.replace(/^\/+|\/+$/g, "");
  try {
    return trimmed.split("/").map(decodeURIComponent);
  } catch {
    // Only malformed percent-encoding throws here; the caller answers 404.
    return undefined;
  }
}
