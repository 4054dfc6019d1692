import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import type { ApiClient } from "./client.ts";
import { createInformerMetrics } from "./informer-metrics.ts";
import type { Informer, InformerScope, Informers } from "./informer.ts";
import { ListWatchInformer } from "./list-watch-informer.ts";

export interface InformersDeps {
  readonly client: Pick<ApiClient, "list" | "watch">;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** In [0, 1), for jitter; default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /**
   * The client hands over the server's own objects: they are held as they are, since any other form would be a
   * second copy. Else managed fields are dropped: they are often half of an object, and no part of ours reads
   * them. Default false.
   */
  readonly isShared?: boolean | undefined;
  /** Drops what else no reader in this program needs of an object, to save memory; metadata must stay. */
  readonly transform?:
    | (<T extends KubernetesObject>(kind: KindDefinition<T>, object: T) => T)
    | undefined;
  /**
   * What is kept of an object when every listener has heard of it: for a program whose listeners keep by themselves
   * what they need. Whoever listens later, or looks an object up, finds no more than this. Metadata's name,
   * namespace, uid and resourceVersion must stay. Default: all.
   */
  readonly remnant?: (<T extends KubernetesObject>(object: T) => T) | undefined;
}

/** Informers that share one copy a kind and scope. Each starts when it is first asked for. */
export function createInformers(deps: InformersDeps): Informers {
  const { client, log, random = Math.random, isShared = false, transform, remnant } = deps;
  const metrics = createInformerMetrics(deps.metrics ?? new Metrics());
  const started = new Map<string, Informer<KubernetesObject> & AsyncDisposable>();
  let isDisposed = false;

  const start = <T extends KubernetesObject>(
    kind: KindDefinition<T>,
    scope: InformerScope,
  ): ListWatchInformer<T> =>
    new ListWatchInformer(kind, scope, {
      client,
      log,
      metrics,
      random,
      transform: (object) => {
        if (isShared) return object;
        const trimmed = withoutManagedFields(object);
        return transform === undefined ? trimmed : transform(kind, trimmed);
      },
      remnant: remnant && ((object) => remnant(object)),
    });

  return {
    of: <T extends KubernetesObject>(kind: KindDefinition<T>, scope: InformerScope = {}) => {
      if (isDisposed) throw new Error(`informers are stopped; asked for ${resourceNameOf(kind)}`);
      const { namespace = "", labelSelector = "", fieldSelector = "" } = scope;
      const id = JSON.stringify([
        kind.group,
        kind.version,
        kind.plural,
        namespace,
        labelSelector,
        fieldSelector,
      ]);
      let informer = started.get(id);
      if (informer === undefined) {
        // The map forgets T, and gives it back below for the same kind: the id holds the kind's identity.
        informer = start(kind, scope) as unknown as Informer<KubernetesObject> & AsyncDisposable;
        started.set(id, informer);
      }
      return informer as unknown as Informer<T>;
    },
    [Symbol.asyncDispose]: async () => {
      isDisposed = true;
      await Promise.all([...started.values()].map((informer) => informer[Symbol.asyncDispose]()));
    },
  };
}

function withoutManagedFields<T extends KubernetesObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}
