import { invalid } from "../api/machinery/field-error.ts";
import type { FieldError } from "../api/machinery/field-error.ts";
import { deepEqual } from "../api/machinery/json.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectRef } from "../api/machinery/object-key.ts";
import { validateMetadata, validateMetadataUpdate } from "../api/machinery/metadata.validation.ts";
import { failure } from "../api/machinery/status.ts";
import type { User } from "./exchange.ts";
import { alreadyExists, conflict, forbidden, invalidObject, notFound } from "./failures.ts";
import { isUnchanged, managedFieldsOf } from "./field-owners.ts";
import type { Ownership, Part } from "./field-owners.ts";
import { createdMetadata, generateName, updatedMetadata } from "./object-identity.ts";
import { unsaved } from "./registry.ts";
import type { Registry, Unchanged } from "./registry.ts";
import type { Served } from "./stored.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import type { Admitted, Companions, WriteHook } from "./write-hook.ts";

export interface WriterDeps {
  readonly registry: Registry;
  readonly namespaceKind: KindDefinition;
  /** By resource name, e.g. "services". */
  readonly hooks: ReadonlyMap<string, WriteHook>;
  /** Whether the user may write this content, beyond writing at all. @throws StatusError 403 where not. */
  readonly checkContent: (
    kind: KindDefinition,
    user: User,
    object: KubernetesObject,
    old: KubernetesObject | undefined,
  ) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly newUid: () => string;
}

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly user: User;
  readonly ownership: Ownership;
}

export interface Written {
  readonly item: Served;
  readonly created: boolean;
  readonly warnings: readonly string[];
}

/** How often a write without a resourceVersion starts over when others are faster. */
const MAX_ATTEMPTS = 8;

/** The general course of creates and updates; see `Strategy` for the order of steps. */
export class Writer {
  readonly #deps: WriterDeps;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  /**
   * Creates `object`, whose metadata names its namespace, after defaults.
   * @throws StatusError 404 or 403 for its namespace, 409 AlreadyExists, 422 Invalid.
   */
  async create(
    kind: KindDefinition,
    object: KubernetesObject,
    options: WriteOptions,
  ): Promise<Written> {
    const prefix = object.metadata.generateName ?? "";
    const isGenerated = object.metadata.name === "" && prefix !== "";
    for (let attempt = 1; ; attempt++) {
      const name = isGenerated ? generateName(prefix, this.#deps.random) : object.metadata.name;
      const draft = { ...object, metadata: { ...object.metadata, name } };
      const written = await this.#createOnce(kind, draft, options);
      if (written !== undefined) return written;
      if (this.#deps.registry.get(kind, draft.metadata) !== undefined) {
        if (!isGenerated || attempt === MAX_ATTEMPTS) throw alreadyExists(kind, name);
      } else if (attempt === MAX_ATTEMPTS) throw conflict(kind, name);
    }
  }

  /** @returns undefined when the object is there already or its namespace changed meanwhile. */
  async #createOnce(
    kind: KindDefinition,
    draft: KubernetesObject,
    options: WriteOptions,
  ): Promise<Written | undefined> {
    const { registry, now, newUid } = this.#deps;
    const { strategy } = kind;
    const unchanged = this.#openNamespace(kind, draft);
    if (draft.metadata.name !== "" && registry.get(kind, draft.metadata) !== undefined) {
      return undefined;
    }
    await this.#deps.hooks.get(resourceNameOf(kind))?.beforeCreate?.(draft);
    const nowMs = now();
    const metadata = createdMetadata(draft.metadata, {
      uid: newUid(),
      nowMs,
      hasGeneration: strategy.generation !== "none",
    });
    const owned = this.#owned(kind, "main", { ...draft, metadata }, undefined, options, draft);
    const admitted = this.#admit(kind, owned, undefined, options.dryRun);
    try {
      const object = strategy.prepareForCreate(admitted.object);
      this.#refuse(kind, object, undefined, options, [
        ...validateMetadata(object.metadata, {
          namespaced: kind.namespaced,
          nameProblems: (name, isPrefix) => strategy.nameProblems(name, isPrefix),
          plainFinalizers: strategy.plainFinalizers,
        }),
        ...strategy.validateCreate(object),
      ]);
      this.#deps.checkContent(kind, options.user, object, undefined);
      const warnings = strategy.warnings?.(object) ?? [];
      if (options.dryRun) {
        return { item: unsaved(kind, object, undefined), created: true, warnings };
      }
      const ref = object.metadata;
      const step = { kind, ref, current: undefined, next: object };
      const { companions } = admitted;
      const result = await registry.commit([step, ...companions.steps], unchanged, companions);
      if (result.kind === "conflict") return undefined;
      return { item: this.#written(kind, object, result.revision), created: true, warnings };
    } finally {
      admitted.release();
    }
  }

  /**
   * Changes the object that `ref` names to what `change` makes of it. `change` sees the newest state, and is
   * asked again when somebody else was faster; what it returns has defaults filled in.
   * @throws StatusError 404, 409 Conflict, 422 Invalid, and what `change` throws.
   */
  async modify(
    kind: KindDefinition,
    ref: ObjectRef,
    part: Part,
    options: WriteOptions,
    change: (current: Served) => KubernetesObject,
  ): Promise<Written> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const current = this.#deps.registry.get(kind, ref);
      if (current === undefined) throw notFound(kind, ref.name);
      const written = await this.#modifyOnce(kind, current, part, options, change(current));
      if (written !== undefined) return written;
    }
    throw conflict(kind, ref.name);
  }

  async #modifyOnce(
    kind: KindDefinition,
    current: Served,
    part: Part,
    options: WriteOptions,
    wanted: KubernetesObject,
  ): Promise<Written | undefined> {
    const { registry } = this.#deps;
    const old = current.object;
    this.#checkVersion(kind, current, wanted);
    const metadata = updatedMetadata(wanted.metadata, old.metadata);
    const draft = this.#owned(kind, part, { ...wanted, metadata }, old, options, wanted);
    const admitted =
      part === "main"
        ? this.#admit(kind, draft, old, options.dryRun)
        : { object: draft, companions: NO_COMPANIONS, release: () => {} };
    try {
      const object = withGeneration(kind, prepare(kind, part, admitted.object, old), old);
      this.#refuse(kind, object, old, options, updateErrors(kind, part, object, old));
      this.#deps.checkContent(kind, options.user, object, old);
      const warnings = kind.strategy.warnings?.(object, old) ?? [];
      // A write that changes nothing makes no revision and no event.
      if (isUnchanged(object, old)) return { item: current, created: false, warnings };
      if (options.dryRun) return { item: unsaved(kind, object, current), created: false, warnings };
      const next = isFinished(object) ? undefined : object;
      const ref = object.metadata;
      // What goes gives back what it held; what this write would have changed of that no longer counts.
      const also = next === undefined ? this.alsoDeleted(kind, old) : admitted.companions;
      const result = await registry.commit([{ kind, ref, current, next }, ...also.steps], [], also);
      if (result.kind === "conflict") return undefined;
      return { item: this.#written(kind, object, result.revision), created: false, warnings };
    } finally {
      admitted.release();
    }
  }

  /** @throws StatusError 403 for an object that must stay. */
  checkDeletion(kind: KindDefinition, object: KubernetesObject): void {
    const why = this.#deps.hooks.get(resourceNameOf(kind))?.refuseDeletion?.(object);
    if (why !== undefined) throw forbidden(kind, object.metadata.name, why);
  }

  /** The object as it is from the moment on that its deletion begins. */
  beginDeletion(kind: KindDefinition, object: KubernetesObject): KubernetesObject {
    if (object.metadata.deletionTimestamp !== undefined) return object;
    return this.#deps.hooks.get(resourceNameOf(kind))?.beginDeletion?.(object) ?? object;
  }

  /** What changes in the same commit when an object, as it was stored, goes. */
  alsoDeleted(kind: KindDefinition, object: KubernetesObject): Companions {
    return this.#deps.hooks.get(resourceNameOf(kind))?.alsoDeleted?.(object) ?? NO_COMPANIONS;
  }

  /** A resourceVersion in the body says which state the caller has seen. */
  #checkVersion(kind: KindDefinition, current: Served, wanted: KubernetesObject): void {
    const { name, uid, resourceVersion = "" } = wanted.metadata;
    if (uid !== undefined && uid !== "" && uid !== current.object.metadata.uid) {
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.object.metadata.uid ?? ""}`,
      );
    }
    if (resourceVersion === "" || resourceVersion === "0") {
      if (kind.strategy.unconditionalUpdate) return;
      throw invalidObject(kind, name, [
        invalid("metadata.resourceVersion", 0, "must be specified for an update"),
      ]);
    }
    if (resourceVersion !== String(current.revision)) throw conflict(kind, name);
  }

  /** The object as the cache has it, which is at least as new as our commit. */
  #written(kind: KindDefinition, object: KubernetesObject, revision: number): Served {
    const cached = this.#deps.registry.get(kind, object.metadata);
    return cached?.revision === revision
      ? cached
      : this.#deps.registry.served(kind, object, revision);
  }

  #admit(
    kind: KindDefinition,
    object: KubernetesObject,
    old: KubernetesObject | undefined,
    dryRun: boolean,
  ): Admitted {
    const hook = this.#deps.hooks.get(resourceNameOf(kind));
    return (
      hook?.admit?.(object, old, dryRun) ?? {
        object,
        companions: NO_COMPANIONS,
        release: () => {},
      }
    );
  }

  /** `next` with managedFields that say whose its fields are, as far as the request itself sets them. */
  #owned(
    kind: KindDefinition,
    part: Part,
    next: KubernetesObject,
    old: KubernetesObject | undefined,
    { ownership }: WriteOptions,
    { metadata: { managedFields: given } }: KubernetesObject,
  ): KubernetesObject {
    const managedFields = managedFieldsOf(
      kind,
      part,
      next,
      old,
      given,
      ownership,
      this.#deps.now(),
    );
    if (managedFields === undefined) return next;
    return { ...next, metadata: { ...next.metadata, managedFields } };
  }

  /** @throws StatusError 422 unless the kind's own errors and those of its hook are none; each is told once. */
  #refuse(
    kind: KindDefinition,
    object: KubernetesObject,
    old: KubernetesObject | undefined,
    { user }: WriteOptions,
    errors: readonly FieldError[],
  ): void {
    const hook = this.#deps.hooks.get(resourceNameOf(kind));
    const more = (hook?.validate?.(object, old, user) ?? []).filter(
      (one) => !errors.some((error) => deepEqual(error, one)),
    );
    const all = [...errors, ...more];
    if (all.length > 0) throw invalidObject(kind, object.metadata.name, all);
  }

  /** The namespace must be there and stay open until the commit, so that its deletion misses nothing. */
  #openNamespace(kind: KindDefinition, object: KubernetesObject): readonly Unchanged[] {
    if (!kind.namespaced) return [];
    const { registry, namespaceKind } = this.#deps;
    const name = object.metadata.namespace ?? "";
    const item = registry.get(namespaceKind, { name });
    if (item === undefined) throw notFound(namespaceKind, name);
    if (item.object.metadata.deletionTimestamp === undefined) {
      return [{ kind: namespaceKind, item }];
    }
    const refused = forbidden(
      kind,
      object.metadata.name,
      `unable to create new content in namespace ${name} because it is being terminated`,
    );
    throw failure(403, "Forbidden", refused.message, {
      ...refused.status.details,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${name} is being terminated`,
          field: "metadata.namespace",
        },
      ],
    });
  }
}

function prepare(
  kind: KindDefinition,
  part: Part,
  object: KubernetesObject,
  old: KubernetesObject,
): KubernetesObject {
  switch (part) {
    case "main":
      return kind.strategy.prepareForUpdate(object, old);
    case "status":
      return kind.strategy.prepareForStatusUpdate?.(object, old) ?? object;
    case "whole":
      return object;
  }
}

function updateErrors(
  kind: KindDefinition,
  part: Part,
  object: KubernetesObject,
  old: KubernetesObject,
): readonly FieldError[] {
  const { strategy } = kind;
  const errors = validateMetadataUpdate(object.metadata, old.metadata, strategy);
  switch (part) {
    case "main":
      return [...errors, ...strategy.validateUpdate(object, old)];
    case "status":
      return [...errors, ...(strategy.validateStatusUpdate?.(object, old) ?? [])];
    case "whole":
      return errors;
  }
}

/** Counts changes of what is wanted, as the kind defines it. */
function withGeneration(
  kind: KindDefinition,
  object: KubernetesObject,
  old: KubernetesObject,
): KubernetesObject {
  const { generation } = kind.strategy;
  if (generation === "none") return object;
  const wanted = (one: KubernetesObject) => {
    // Which fields say what is wanted differs by kind; all are plain JSON.
    const { metadata: _m, status, ...content } = one as KubernetesObject & { status?: unknown };
    if (generation === "spec") return (content as { spec?: unknown }).spec;
    // Where no /status is served, status is a field like any other (custom resources).
    return kind.strategy.prepareForStatusUpdate === undefined ? { ...content, status } : content;
  };
  if (deepEqual(wanted(object), wanted(old))) return object;
  const next = (old.metadata.generation ?? 0) + 1;
  return { ...object, metadata: { ...object.metadata, generation: next } };
}

/** A deleted object whose last finalizer is gone is really gone. */
export function isFinished(object: KubernetesObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  // Namespaces have a second list of finalizers, in their spec.
  const { spec } = object as { spec?: { finalizers?: readonly string[] } };
  const isNamespace = object.kind === "Namespace" && object.apiVersion === "v1";
  return (
    deletionTimestamp !== undefined &&
    deletionGracePeriodSeconds === 0 &&
    finalizers.length === 0 &&
    (!isNamespace || (spec?.finalizers ?? []).length === 0)
  );
}
