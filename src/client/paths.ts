import type { KindDefinition } from "../api/machinery/kind.ts";

export interface ResourcePath {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Path and query of a resource, e.g. `/api/v1/namespaces/default/pods/web/status?dryRun=All`. Without a
 * namespace: the collection of all namespaces, or an object of the cluster.
 * @throws Error when a name is asked for that only a namespace makes unique.
 */
export function resourceUrl(kind: KindDefinition, path: ResourcePath, query: Query = {}): string {
  const { name, subresource } = path;
  const namespace = path.namespace === "" ? undefined : path.namespace;
  if (kind.namespaced && name !== undefined && namespace === undefined) {
    throw new Error(
      `${kind.kind} ${JSON.stringify(name)}: a namespace is needed and none is given`,
    );
  }
  const parts = kind.group === "" ? ["api"] : ["apis", kind.group];
  parts.push(kind.version);
  if (kind.namespaced && namespace !== undefined) parts.push("namespaces", namespace);
  parts.push(kind.plural);
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(...subresource.split("/"));
  return `/${parts.map(encodeURIComponent).join("/")}${queryText(query)}`;
}

function queryText(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) params.set(name, String(value));
  }
  return params.size === 0 ? "" : `?${params.toString()}`;
}
