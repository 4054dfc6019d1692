import type { CustomResourceDefinition } from "../api/apiextensions/customresourcedefinition.ts";
import { customVersions } from "../api/apiextensions/custom-kind.ts";
import {
  CLEANUP_FINALIZER,
  acceptNames,
  asServed,
  isDeletionInProgress,
  withDeletionBegun,
  withDeletionCompleted,
  withDeletionInProgress,
} from "../api/apiextensions/definition-status.ts";
import { deepEqual } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { failure, hasReason } from "../api/machinery/status.ts";
import { WorkQueue } from "../async/work-queue.ts";
import type { Logger } from "../telemetry/log.ts";
import { SERVER_WRITES } from "./cluster-objects.ts";
import type { Deleter } from "./deleter.ts";
import type { LiveKinds } from "./live-kinds.ts";
import { timestamp } from "./object-identity.ts";
import type { Registry } from "./registry.ts";
import type { WatchCache } from "./watch-cache.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import type { WriteHook } from "./write-hook.ts";
import type { Writer } from "./writer.ts";

export interface CustomKindsDeps {
  readonly definitionKind: KindDefinition;
  readonly live: LiveKinds;
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly writer: Writer;
  readonly deleter: Deleter;
  /** By resource name; each custom resource gets one, and so do the definitions. */
  readonly hooks: Map<string, WriteHook>;
  readonly log: Logger;
  readonly now: () => number;
  readonly random: () => number;
}

const BACKOFF = { baseMs: 50, maxMs: 30_000 };
/** Objects with finalizers take their owners' time. */
const REMAINING_RETRY_MS = 200;
const DELETE_BATCH = 32;

/** What the server does on its own when a definition is written or deleted. */
export function definitionHook(now: () => number): WriteHook {
  return {
    beginDeletion: (object) => {
      // Only definitions come here.
      const crd = object as CustomResourceDefinition;
      return withDeletionBegun(crd, timestamp(now()));
    },
  };
}

/**
 * Serves the kinds of all definitions, and follows their changes until the signal aborts: names are accepted or
 * refused, kinds appear and go, objects of a deleted kind are deleted before the definition is gone. Resolves
 * when all that are established are served; `done` resolves when the loop has ended.
 */
export async function serveCustomKinds(
  deps: CustomKindsDeps,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> {
  const loop = new CustomKinds(deps);
  await loop.serveAll();
  return { done: loop.run(signal) };
}

class CustomKinds {
  readonly #deps: CustomKindsDeps;
  readonly #queue: WorkQueue<string>;
  /** By name of the definition: what of it is served. */
  readonly #served = new Map<string, CustomResourceDefinition>();
  readonly #observer: Disposable;

  constructor(deps: CustomKindsDeps) {
    this.#deps = deps;
    this.#queue = new WorkQueue({ backoff: BACKOFF, random: deps.random });
    this.#observer = deps.cache.of(deps.definitionKind).observe(({ before, after }) => {
      const name = (after ?? before)?.object.metadata.name;
      if (name !== undefined) this.#queue.add(name);
    });
  }

  /** One that cannot be served now is tried again by the loop, and does not hold up the others. */
  async serveAll(): Promise<void> {
    for (const { metadata } of this.#all()) await this.#reconcileSafely(metadata.name);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Rejects only when the signal aborts, which the loop's condition sees.
      const name = await this.#queue.get(signal).catch(() => undefined);
      if (name === undefined) continue;
      await this.#reconcileSafely(name);
      this.#queue.done(name);
    }
    this.#observer[Symbol.dispose]();
    this.#queue[Symbol.dispose]();
  }

  async #reconcileSafely(name: string): Promise<void> {
    try {
      await this.#reconcile(name);
      this.#queue.forget(name);
    } catch (error) {
      // A conflict says that somebody else wrote meanwhile; the next look settles it.
      if (!hasReason(error, "Conflict")) {
        this.#deps.log.warn("a custom resource could not be served", { name, error });
      }
      this.#queue.retry(name);
    }
  }

  async #reconcile(name: string): Promise<void> {
    const crd = this.#definition(name);
    if (crd === undefined) return this.#gone(name);
    if (crd.metadata.deletionTimestamp !== undefined) return this.#terminate(crd);
    const { live, definitionKind: kind, now, writer } = this.#deps;
    const others = this.#all().filter((other) => other.metadata.name !== name);
    const decide = (one: CustomResourceDefinition) =>
      acceptNames(one, others, live.fixed, timestamp(now()));
    const decided = decide(crd);
    await this.#serve(decided);
    if (deepEqual(decided.status, crd.status)) return;
    await writer.modify(kind, crd.metadata, "status", SERVER_WRITES, ({ object }) =>
      // The kind of the definitions.
      decide(object as CustomResourceDefinition),
    );
  }

  /** Serves what was accepted, unless it is served already. */
  async #serve(crd: CustomResourceDefinition): Promise<void> {
    const { name } = crd.metadata;
    const wanted = asServed(crd);
    if (wanted === undefined) return this.#drop(name);
    const served = this.#served.get(name);
    if (served !== undefined && deepEqual(served.spec, wanted.spec)) return;
    const { live, hooks, log } = this.#deps;
    hooks.set(name, { admit: (object, old) => this.#admit(name, object, old) });
    await live.serve(customVersions(wanted));
    this.#served.set(name, wanted);
    log.info("custom resource served", { name });
  }

  #admit(name: string, object: KubernetesObject, old: KubernetesObject | undefined) {
    const definition = this.#definition(name);
    if (old === undefined && definition?.metadata.deletionTimestamp !== undefined) {
      const why = "create not allowed while custom resource definition is terminating";
      throw failure(405, "MethodNotAllowed", why, { name, kind: object.kind });
    }
    return { object, companions: NO_COMPANIONS, release: () => {} };
  }

  /** Deletes the objects of the kind, and then lets the definition go. */
  async #terminate(crd: CustomResourceDefinition): Promise<void> {
    const { definitionKind: kind, live, writer, now, log } = this.#deps;
    const { name, finalizers = [] } = crd.metadata;
    if (!finalizers.includes(CLEANUP_FINALIZER)) return;
    await this.#serve(crd);
    if (!isDeletionInProgress(crd)) {
      // This write is behind every create that was admitted before: from here on all objects are known.
      await writer.modify(kind, crd.metadata, "whole", SERVER_WRITES, ({ object }) =>
        withDeletionInProgress(object as CustomResourceDefinition, timestamp(now())),
      );
    }
    const storage = live.storageVersion(name);
    const left = storage === undefined ? 0 : await this.#deleteObjects(storage);
    if (left > 0) {
      this.#queue.addAfter(name, REMAINING_RETRY_MS);
      return;
    }
    await writer.modify(kind, crd.metadata, "whole", SERVER_WRITES, ({ object }) =>
      withDeletionCompleted(object as CustomResourceDefinition, timestamp(now())),
    );
    log.info("custom resource deleted", { name });
  }

  /** @returns how many are left, because they wait for a finalizer. */
  async #deleteObjects(kind: KindDefinition): Promise<number> {
    const { cache, deleter } = this.#deps;
    const kindCache = cache.of(kind);
    const open = kindCache
      .snapshot("")
      .filter(({ object }) => object.metadata.deletionTimestamp === undefined);
    for (let i = 0; i < open.length; i += DELETE_BATCH) {
      await Promise.all(
        open.slice(i, i + DELETE_BATCH).map(async ({ object }) => {
          try {
            const options = { apiVersion: "v1", kind: "DeleteOptions" };
            await deleter.delete(kind, object.metadata, options, false);
          } catch (error) {
            // Whoever deleted it meanwhile did what was to be done.
            if (!hasReason(error, "NotFound")) throw error;
          }
        }),
      );
    }
    return kindCache.size;
  }

  /** The definition is no more: neither is its kind, and its names are free for others. */
  #gone(name: string): void {
    const group = this.#served.get(name)?.spec.group;
    this.#drop(name);
    for (const other of this.#all()) {
      if (other.spec.group === group) this.#queue.add(other.metadata.name);
    }
  }

  #drop(name: string): void {
    const { live, hooks } = this.#deps;
    live.drop(name);
    hooks.delete(name);
    this.#served.delete(name);
  }

  #all(): readonly CustomResourceDefinition[] {
    const { cache, definitionKind } = this.#deps;
    // The cache of the definitions holds definitions.
    const items = cache.of(definitionKind).snapshot("");
    return items.map(({ object }) => object as CustomResourceDefinition);
  }

  #definition(name: string): CustomResourceDefinition | undefined {
    const { registry, definitionKind } = this.#deps;
    // As above.
    return registry.get(definitionKind, { name })?.object as CustomResourceDefinition | undefined;
  }
}
