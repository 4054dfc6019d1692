import { apiVersionOf } from "./kind.ts";
import type { KindDefinition } from "./kind.ts";

/** What discovery tells of a kind. */
type Discovered = Pick<
  KindDefinition,
  "group" | "version" | "kind" | "plural" | "singular" | "namespaced"
> &
  Partial<Pick<KindDefinition, "shortNames" | "categories">> & {
    /** Absent for a kind that is not stored: it can only be created. */
    readonly strategy?: Pick<KindDefinition["strategy"], "prepareForStatusUpdate">;
  };

/** A subresource that is served beside `/status`, which follows from the kind's strategy. */
export interface ServedSubresource {
  /** The kind that it belongs to. */
  readonly parent: Pick<KindDefinition, "group" | "version" | "plural"> &
    Partial<Pick<KindDefinition, "kind" | "custom">>;
  /** e.g. `log`. */
  readonly name: string;
  /** The kind that goes over the wire, such as Binding; for `log` the Pod itself, as upstream. */
  readonly responseKind: Pick<KindDefinition, "group" | "version" | "kind">;
  readonly verbs: readonly string[];
}

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const STATUS_VERBS = ["get", "patch", "update"];

/** The newest form that clients ask for, and the one before it; they differ in name only. */
export type DiscoveryVersion = "v2" | "v2beta1";

/**
 * Aggregated discovery (apidiscovery.k8s.io APIGroupDiscoveryList): all groups, versions and resources in one
 * document. `/api` has the core group, `/apis` the others. Kinds keep their order, which decides between
 * resources of the same short name.
 */
export function aggregatedDiscovery(
  kinds: readonly Discovered[],
  subresources: readonly ServedSubresource[],
  scope: "core" | "named",
  version: DiscoveryVersion,
): object {
  const groups = groupNames(kinds).filter((group) => (group === "") === (scope === "core"));
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
      versions: versionNames(kinds, group).map((groupVersion) => ({
        version: groupVersion,
        resources: kindsOf(kinds, group, groupVersion).map((kind) =>
          discoveredResource(kind, subresources),
        ),
        freshness: "Current",
      })),
    })),
  };
}

function discoveredResource(kind: Discovered, subresources: readonly ServedSubresource[]): object {
  const own = subresourcesOf(kind, subresources);
  return {
    resource: kind.plural,
    responseKind: kindName(kind),
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...optionalNames(kind),
    ...(own.length === 0
      ? {}
      : {
          subresources: own.map(({ name, responseKind, verbs }) => ({
            subresource: name,
            responseKind: kindName(responseKind),
            verbs,
          })),
        }),
  };
}

/** `/api` for clients that do not ask for the aggregated form (metav1.APIVersions). */
export function apiVersions(kinds: readonly Discovered[], serverAddress: string): object {
  return {
    kind: "APIVersions",
    versions: versionNames(kinds, ""),
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** `/apis` for the same clients (metav1.APIGroupList). */
export function apiGroupList(kinds: readonly Discovered[]): object {
  const groups = groupNames(kinds).filter((group) => group !== "");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groups.map((group) => groupOf(kinds, group)),
  };
}

/** `/apis/GROUP` (metav1.APIGroup); undefined for a group that is not served. */
export function apiGroup(kinds: readonly Discovered[], group: string): object | undefined {
  if (group === "" || versionNames(kinds, group).length === 0) return undefined;
  return { kind: "APIGroup", apiVersion: "v1", ...groupOf(kinds, group) };
}

function groupOf(kinds: readonly Discovered[], group: string): object {
  const versions = versionNames(kinds, group).map((version) => ({
    groupVersion: apiVersionOf({ group, version }),
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** `/api/v1`, `/apis/GROUP/VERSION` (metav1.APIResourceList); undefined where nothing is served. */
export function apiResourceList(
  kinds: readonly Discovered[],
  subresources: readonly ServedSubresource[],
  group: string,
  version: string,
): object | undefined {
  const served = kindsOf(kinds, group, version);
  if (served.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf({ group, version }),
    resources: served.flatMap((kind) => [
      {
        name: kind.plural,
        singularName: kind.singular,
        namespaced: kind.namespaced,
        kind: kind.kind,
        verbs: verbsOf(kind),
        ...optionalNames(kind),
      },
      ...subresourcesOf(kind, subresources).map(({ name, responseKind, verbs }) => ({
        name: `${kind.plural}/${name}`,
        singularName: "",
        namespaced: kind.namespaced,
        ...(responseKind.group === kind.group && responseKind.version === kind.version
          ? {}
          : { group: responseKind.group, version: responseKind.version }),
        kind: responseKind.kind,
        verbs,
      })),
    ]),
  };
}

/** What a kind's collections and objects can be asked. As upstream, all Namespaces cannot be deleted at once. */
export function verbsOf({
  group,
  plural,
  strategy,
}: Pick<Discovered, "group" | "plural" | "strategy">): readonly string[] {
  if (strategy === undefined) return ["create"];
  const isNamespaces = group === "" && plural === "namespaces";
  return isNamespaces ? VERBS.filter((verb) => verb !== "deletecollection") : VERBS;
}

function subresourcesOf(
  kind: Discovered,
  subresources: readonly ServedSubresource[],
): readonly ServedSubresource[] {
  const declared = subresources.filter(
    ({ parent }) =>
      parent.group === kind.group &&
      parent.version === kind.version &&
      parent.plural === kind.plural,
  );
  if (kind.strategy?.prepareForStatusUpdate === undefined) return declared;
  const status = { parent: kind, name: "status", responseKind: kind, verbs: STATUS_VERBS };
  return [...declared, status];
}

function kindName({ group, version, kind }: ServedSubresource["responseKind"]): object {
  return { group, version, kind };
}

function optionalNames({ shortNames = [], categories = [] }: Discovered): object {
  return {
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}

function groupNames(kinds: readonly Discovered[]): readonly string[] {
  return [...new Set(kinds.map(({ group }) => group))];
}

function versionNames(kinds: readonly Discovered[], group: string): readonly string[] {
  const own = kinds.filter((kind) => kind.group === group);
  return [...new Set(own.map(({ version }) => version))];
}

function kindsOf(
  kinds: readonly Discovered[],
  group: string,
  version: string,
): readonly Discovered[] {
  return kinds.filter((kind) => kind.group === group && kind.version === version);
}
