import { deepEqual } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectRef } from "../api/machinery/object-key.ts";
import { badRequest, conflict, invalidObject, notFound } from "./failures.ts";
import type { DeleteOptions } from "../api/machinery/delete-options.ts";
import { preconditionFailure, timestamp } from "./object-identity.ts";
import { unsaved } from "./registry.ts";
import type { Registry } from "./registry.ts";
import type { Served } from "./stored.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import { isFinished } from "./writer.ts";
import type { Writer } from "./writer.ts";

const MAX_ATTEMPTS = 8;
const POLICIES = ["Orphan", "Background", "Foreground"];

export interface DeleterDeps {
  readonly registry: Registry;
  readonly writer: Writer;
  readonly now: () => number;
}

export type Deletion =
  /** The object is gone; `item` is its last state. */
  | { readonly kind: "deleted"; readonly item: Served }
  /** It stays until its finalizers, or its grace, are over. */
  | { readonly kind: "marked"; readonly item: Served };

/** Deletes objects at once, or marks them when somebody must finish something first. */
export class Deleter {
  readonly #deps: DeleterDeps;

  constructor(deps: DeleterDeps) {
    this.#deps = deps;
  }

  /**
   * @throws StatusError 404, 409 for preconditions that do not hold, 422 for bad options.
   */
  async delete(
    kind: KindDefinition,
    ref: ObjectRef,
    options: DeleteOptions,
    dryRun: boolean,
  ): Promise<Deletion> {
    checkOptions(options);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const current = this.#deps.registry.get(kind, ref);
      if (current === undefined) throw notFound(kind, ref.name);
      this.#deps.writer.checkDeletion(kind, current.object);
      const failure = preconditionFailure(kind, current, options.preconditions ?? {});
      if (failure !== undefined) throw failure;
      const deletion = await this.#deleteOnce(kind, current, options, dryRun);
      if (deletion !== undefined) return deletion;
    }
    throw conflict(kind, ref.name);
  }

  async #deleteOnce(
    kind: KindDefinition,
    current: Served,
    options: DeleteOptions,
    dryRun: boolean,
  ): Promise<Deletion | undefined> {
    const { registry, writer, now } = this.#deps;
    const ref = current.object.metadata;
    const begun = writer.beginDeletion(kind, current.object);
    const marked = markDeleted(kind, begun, options, now());
    if (marked === current.object) return { kind: "marked", item: current };
    const isGone = isFinished(marked);
    const next = isGone ? undefined : marked;
    if (dryRun) {
      return isGone
        ? { kind: "deleted", item: current }
        : { kind: "marked", item: unsaved(kind, marked, current) };
    }
    const also = isGone ? writer.alsoDeleted(kind, current.object) : NO_COMPANIONS;
    const result = await registry.commit([{ kind, ref, current, next }, ...also.steps], [], also);
    if (result.kind === "conflict") return undefined;
    if (isGone) return { kind: "deleted", item: current };
    return {
      kind: "marked",
      item: registry.get(kind, ref) ?? registry.served(kind, marked, result.revision),
    };
  }
}

/**
 * The object with its deletion noted. Grace counts for kinds that have it; a second deletion may only
 * shorten it.
 * @returns the very same object when nothing changes.
 */
function markDeleted(
  kind: KindDefinition,
  object: KubernetesObject,
  options: DeleteOptions,
  nowMs: number,
): KubernetesObject {
  const own = kind.strategy.deleteGraceSeconds?.(object);
  const wanted = own === undefined ? 0 : Math.max(0, options.gracePeriodSeconds ?? own);
  const { metadata } = withGarbageFinalizers(kind, object, options);
  if (metadata.deletionTimestamp !== undefined) {
    if (metadata !== object.metadata) return { ...object, metadata };
    const before = metadata.deletionGracePeriodSeconds ?? 0;
    const asks = options.gracePeriodSeconds !== undefined || own === undefined;
    const isShorter = asks && wanted < before;
    if (!isShorter && !isFinished(object)) return object;
  }
  const { generation } = metadata;
  const isFirst = metadata.deletionTimestamp === undefined;
  return {
    ...object,
    ...terminatingNamespace(object),
    metadata: {
      ...metadata,
      deletionTimestamp: timestamp(nowMs + wanted * 1000),
      deletionGracePeriodSeconds: wanted,
      ...(generation === undefined || !isFirst ? {} : { generation: generation + 1 }),
    },
  };
}

/** They keep a deleted object until the garbage collector has seen to its dependents. */
const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

/**
 * The object with the finalizer that the policy of its deletion asks for; without a policy what it has stays, or
 * else the kind's own policy counts. The collector passes Events over, which are owned by nobody and own nothing.
 * @returns the very same object when nothing changes.
 */
function withGarbageFinalizers(
  kind: KindDefinition,
  object: KubernetesObject,
  { propagationPolicy, orphanDependents }: DeleteOptions,
): KubernetesObject {
  const isEvent = kind.group === "" && kind.kind === "Event";
  if (isEvent) return object;
  const before = object.metadata.finalizers ?? [];
  if (propagationPolicy === undefined && orphanDependents === undefined) {
    const isSettled =
      before.includes(FOREGROUND) ||
      before.includes(ORPHAN) ||
      object.metadata.deletionTimestamp !== undefined;
    if (isSettled || kind.strategy.orphansByDefault !== true) return object;
    return { ...object, metadata: { ...object.metadata, finalizers: [...before, ORPHAN] } };
  }
  const others = before.filter((one) => one !== FOREGROUND && one !== ORPHAN);
  const own =
    propagationPolicy === "Orphan" || orphanDependents === true
      ? [ORPHAN]
      : propagationPolicy === "Foreground"
        ? [FOREGROUND]
        : [];
  const finalizers = [...others, ...own];
  if (deepEqual(finalizers.toSorted(), before.toSorted())) return object;
  const { finalizers: _, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: finalizers.length === 0 ? metadata : { ...metadata, finalizers },
  };
}

/** A Namespace that is being deleted says so in its phase (upstream `namespace/storage`). */
function terminatingNamespace(object: KubernetesObject): object {
  if (object.kind !== "Namespace" || object.apiVersion !== "v1") return {};
  const { status } = object as { status?: object };
  return { status: { ...status, phase: "Terminating" } };
}

function checkOptions({ gracePeriodSeconds, propagationPolicy, orphanDependents }: DeleteOptions) {
  const options = { kind: "DeleteOptions", group: "meta.k8s.io" };
  if (propagationPolicy !== undefined && !POLICIES.includes(propagationPolicy)) {
    throw invalidObject(options, "", [
      {
        type: "FieldValueNotSupported",
        field: "propagationPolicy",
        message: `Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
      },
    ]);
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    throw invalidObject(options, "", [
      {
        type: "FieldValueInvalid",
        field: "propagationPolicy",
        message: `Invalid value: ${JSON.stringify(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`,
      },
    ]);
  }
  if (gracePeriodSeconds !== undefined && !Number.isSafeInteger(gracePeriodSeconds)) {
    throw badRequest("gracePeriodSeconds must be a whole number");
  }
}
