import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import type { Change, Informer, InformerScope, Informers } from "../client/informer.ts";
import type { DnsIndex } from "../core/dns/dns-index.ts";

/** What an index is made from, in each of the namespaces that count. Disposing ends it; the informers are the caller's. */
export class FollowedKinds implements Disposable {
  readonly #informers: Pick<Informers, "of">;
  readonly #followed: Informer<KubernetesObject>[] = [];
  readonly #subscriptions: Disposable[] = [];

  constructor(informers: Pick<Informers, "of">) {
    this.#informers = informers;
  }

  get informers(): readonly Informer<KubernetesObject>[] {
    return this.#followed;
  }

  /** Whether all was listed once. */
  get hasSynced(): boolean {
    return this.#followed.every(({ hasSynced }) => hasSynced);
  }

  /** Resolves when all was listed once. */
  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#followed.map((informer) => informer.synced(signal)));
  }

  follow<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    scope: InformerScope,
    listener: (change: Change<T>, informer: Informer<T>) => void,
  ): void {
    const informer = this.#informers.of(kind, scope);
    // What is kept of it is whether it has synced, whatever its objects are.
    this.#followed.push(informer as unknown as Informer<KubernetesObject>);
    this.#subscriptions.push(
      informer.onChange((change) => {
        listener(change, informer);
      }),
    );
  }

  /**
   * Tells an index which namespaces there are.
   * @param namespaces only these; undefined: those that `labels` selects.
   * @returns where to look for what is in them.
   */
  followNamespaces(
    index: DnsIndex,
    namespaces: readonly string[] | undefined,
    labels: string | undefined,
  ): readonly InformerScope[] {
    const scopes: readonly InformerScope[] =
      namespaces === undefined
        ? [{ labelSelector: labels }]
        : namespaces.map((name) => ({ fieldSelector: `metadata.name=${name}` }));
    for (const scope of scopes) {
      this.follow(namespaceKind, scope, ({ key, after }) => {
        index.setNamespace(key, after !== undefined);
      });
    }
    return namespaces === undefined ? [{}] : namespaces.map((namespace) => ({ namespace }));
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
  }
}
