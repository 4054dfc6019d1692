import { customVersions } from "../api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../api/apiextensions/customresourcedefinition.kind.ts";
import type { CustomResourceDefinition } from "../api/apiextensions/customresourcedefinition.ts";
import { asServed } from "../api/apiextensions/definition-status.ts";
import { apiVersionOf, resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject, OwnerReference } from "../api/machinery/metadata.ts";
import type { Change, Informer, Informers } from "../client/informer.ts";

/** A kind whose objects may own and be owned. */
export interface Collected {
  readonly kind: KindDefinition;
  readonly informer: Informer<KubernetesObject>;
}

export interface CollectedObject {
  readonly kind: KindDefinition;
  readonly object: KubernetesObject;
}

export interface CollectedKindsDeps {
  readonly kinds: readonly KindDefinition[];
  /** Gives the informer of a kind; metadata is all that is read, but of definitions. */
  readonly informerOf: (kind: KindDefinition) => Informer<KubernetesObject>;
  /** Informers for one custom resource, disposed of with it. */
  readonly openInformers: () => Informers;
  readonly onChange: (kind: KindDefinition, change: Change<KubernetesObject>) => void;
  /** Objects whose owners are gone with their kind. */
  readonly onLost: (dependents: readonly CollectedObject[]) => void;
}

export interface CollectedKinds extends AsyncDisposable {
  /** Resolves when all that is served is known. */
  synced(signal: AbortSignal): Promise<void>;
  /** By resource name, as `deployments.apps`. */
  ofResource(resource: string): Collected | undefined;
  /** What an owner reference speaks of; undefined: of a kind that is not served. */
  ownerOf(reference: Pick<OwnerReference, "apiVersion" | "kind">): Collected | undefined;
  /** The objects that name this uid as an owner. */
  dependentsOf(uid: string): readonly CollectedObject[];
}

const BY_OWNER = "owner-uid";

interface CustomEntry extends Collected {
  readonly informers: Informers;
  readonly version: string;
  readonly namespaced: boolean;
  readonly ended: AbortController;
  readonly listener: Disposable;
}

/** Follows the objects of all kinds that are served, custom resources as their definitions come and go. */
export function startCollectedKinds(deps: CollectedKindsDeps): CollectedKinds {
  const { informerOf, onChange } = deps;
  const byResource = new Map<string, Collected>();
  const byOwnerKind = new Map<string, Collected>();
  const custom = new Map<string, CustomEntry>();
  const listeners: Disposable[] = [];
  /** Informers of definitions that are gone, on their way to their end. */
  const ending = new Set<Promise<void>>();

  const follow = ({ kind, informer }: Collected): Disposable => {
    byResource.set(resourceNameOf(kind), { kind, informer });
    informer.addIndex(BY_OWNER, ({ metadata }) =>
      (metadata.ownerReferences ?? []).map(({ uid }) => uid),
    );
    return informer.onChange((change) => {
      onChange(kind, change);
    });
  };
  const builtIn: Informer<KubernetesObject>[] = [];
  for (const kind of deps.kinds) {
    const collected = { kind, informer: informerOf(kind) };
    builtIn.push(collected.informer);
    byOwnerKind.set(ownerKey(apiVersionOf(kind), kind.kind), collected);
    listeners.push(follow(collected));
  }

  const dependentsOf = (uid: string): readonly CollectedObject[] =>
    [...byResource.values()].flatMap(({ kind, informer }) =>
      informer.byIndex(BY_OWNER, uid).map((object) => ({ kind, object })),
    );

  const drop = (name: string): void => {
    const entry = custom.get(name);
    if (entry === undefined) return;
    custom.delete(name);
    byResource.delete(resourceNameOf(entry.kind));
    entry.ended.abort(new Error(`${name} is served no more`));
    entry.listener[Symbol.dispose]();
    const end = Promise.resolve(entry.informers[Symbol.asyncDispose]());
    ending.add(end);
    void end.finally(() => ending.delete(end)); // Disposal of informers does not fail.
  };

  const serve = (crd: CustomResourceDefinition): void => {
    const { name } = crd.metadata;
    const served = asServed(crd);
    const versions = (served === undefined ? [] : customVersions(served)).filter(
      (version) => version.served,
    );
    const kind = versions[0]?.definition;
    const before = custom.get(name);
    if (kind === undefined) {
      forgetOwners(name);
      drop(name);
      return;
    }
    let entry = before;
    if (before?.version !== kind.version || before.namespaced !== kind.namespaced) {
      drop(name);
      const informers = deps.openInformers();
      const collected = { kind, informer: informers.of(kind) };
      const { version, namespaced } = kind;
      const ended = new AbortController();
      const listener = follow(collected);
      entry = { ...collected, informers, version, namespaced, ended, listener };
      custom.set(name, entry);
    }
    if (entry === undefined) return;
    const { informer } = entry;
    for (const { definition } of versions) {
      const key = ownerKey(apiVersionOf(definition), definition.kind);
      byOwnerKind.set(key, { kind: definition, informer });
    }
  };

  const forgetOwners = (name: string): void => {
    for (const [key, { kind }] of byOwnerKind) {
      if (kind.custom !== undefined && resourceNameOf(kind) === name) byOwnerKind.delete(key);
    }
  };

  const definitions = deps.kinds.includes(customResourceDefinitionKind)
    ? informerOf(customResourceDefinitionKind)
    : undefined;
  if (definitions !== undefined) {
    const listener = definitions.onChange(({ key, after }) => {
      // The informer of definitions holds definitions.
      if (after !== undefined) return serve(after as CustomResourceDefinition);
      const owners = custom.get(key)?.informer.list() ?? [];
      // Its owner keys stay: its objects are known to be gone, which is asked of the API.
      drop(key);
      deps.onLost(owners.flatMap(({ metadata }) => dependentsOf(metadata.uid ?? "")));
    });
    listeners.push(listener);
  }

  return {
    async synced(signal) {
      for (const informer of builtIn) if (!informer.hasSynced) await informer.synced(signal);
      // The definitions are known by now.
      for (const entry of custom.values()) {
        if (!entry.informer.hasSynced) await syncedOrEnded(entry, signal);
      }
    },
    ofResource: (resource) => byResource.get(resource),
    ownerOf: ({ apiVersion, kind }) => byOwnerKind.get(ownerKey(apiVersion, kind)),
    dependentsOf,
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      for (const name of custom.keys()) drop(name);
      await Promise.all(ending);
    },
  };
}

function ownerKey(apiVersion: string, kind: string): string {
  return `${apiVersion} ${kind}`;
}

/** A definition that goes while its objects are listed for the first time must not hold up all others. */
async function syncedOrEnded(
  { informer, ended }: Pick<CustomEntry, "informer" | "ended">,
  signal: AbortSignal,
): Promise<void> {
  const both = new AbortController();
  const abort = (): void => {
    both.abort(signal.aborted ? signal.reason : ended.signal.reason);
  };
  for (const one of [signal, ended.signal]) one.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted || ended.signal.aborted) abort();
    await informer.synced(both.signal);
  } catch (error) {
    if (signal.aborted || !ended.signal.aborted) throw error;
  } finally {
    for (const one of [signal, ended.signal]) one.removeEventListener("abort", abort);
  }
}
