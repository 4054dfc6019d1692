import type { CustomVersion } from "../api/apiextensions/custom-kind.ts";
import { compareVersions } from "../api/apiextensions/version-priority.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { routeKey, routeTable } from "./routes.ts";
import type { RouteTable } from "./routes.ts";
import type { WatchCache } from "./watch-cache.ts";

/**
 * The kinds that are served at this moment: those that are built in, and those that definitions add and take
 * away while the server runs. Whoever needs the kinds asks here each time.
 */
export class LiveKinds {
  readonly fixed: readonly KindDefinition[];
  readonly #cache: Pick<WatchCache, "serve" | "drop">;
  readonly #routes: Map<string, KindDefinition>;
  /** By resource name. */
  readonly #custom = new Map<string, readonly CustomVersion[]>();
  #all: readonly KindDefinition[];

  constructor(fixed: readonly KindDefinition[], cache: Pick<WatchCache, "serve" | "drop">) {
    this.fixed = fixed;
    this.#cache = cache;
    this.#all = fixed;
    this.#routes = routeTable(fixed);
  }

  /** In the order of discovery. Another list, not a changed one, after each change. */
  get all(): readonly KindDefinition[] {
    return this.#all;
  }

  /** Follows all changes. */
  get routes(): RouteTable {
    return this.#routes;
  }

  /** The version in which a custom resource is stored; undefined when it is not served. */
  storageVersion(resource: string): KindDefinition | undefined {
    const versions = this.#custom.get(resource) ?? [];
    return versions.find(({ definition }) => definition.custom?.isStorageVersion)?.definition;
  }

  /**
   * Serves a custom resource in these versions, in place of how it was served before. Resolves when everything
   * works: routes, discovery, OpenAPI, lists and watches.
   */
  async serve(versions: readonly CustomVersion[]): Promise<void> {
    const [first] = versions;
    if (first === undefined) throw new Error("a resource has at least one version, got none");
    // What is stored can be deleted even when no version of it is served.
    const loaded = versions.filter(
      ({ served, definition }) => served || definition.custom?.isStorageVersion === true,
    );
    await this.#cache.serve(loaded.map(({ definition }) => definition));
    const resource = resourceNameOf(first.definition);
    this.#removeRoutes(resource);
    this.#custom.set(resource, versions);
    for (const { served, definition } of versions) {
      if (served) this.#routes.set(routeKey(definition), definition);
    }
    this.#list();
  }

  /** Serves a custom resource no more. Its watches end. */
  drop(resource: string): void {
    const [first] = this.#custom.get(resource) ?? [];
    if (first === undefined) return;
    this.#removeRoutes(resource);
    this.#custom.delete(resource);
    this.#cache.drop(first.definition);
    this.#list();
  }

  #removeRoutes(resource: string): void {
    for (const { definition } of this.#custom.get(resource) ?? []) {
      this.#routes.delete(routeKey(definition));
    }
  }

  #list(): void {
    const custom = [...this.#custom.values()]
      .flat()
      .filter(({ served }) => served)
      .map(({ definition }) => definition)
      .toSorted(byGroupAndVersion);
    this.#all = [...this.fixed, ...custom];
  }
}

function byGroupAndVersion(a: KindDefinition, b: KindDefinition): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  return compareVersions(a.version, b.version) || (a.plural < b.plural ? -1 : 1);
}
