import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { labelRequirementsOf, matchesLabels } from "../api/machinery/label-selector.ts";
import type { Draft, KubernetesObject, LabelSelector } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import { keyOf, objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { ApiClient } from "../client/client.ts";
import type { Change, Informer } from "../client/informer.ts";
import { controllerOf, controllerReference } from "../core/workloads/pods.ts";
import { deleteThis } from "./delete-this.ts";
import { OwnWrites } from "./own-writes.ts";

const BY_CONTROLLER = "controller-uid";
/** As long as upstream waits for what it expects to see (`controller_utils.go:ExpectationsTimeout`). */
const OWN_WRITE_TTL_MS = 300_000;

export type OwnedClient = Pick<ApiClient, "get" | "create" | "update" | "patch" | "delete">;

function groupOf(object: KubernetesObject): string {
  return controllerOf(object)?.uid ?? `orphans of ${object.metadata.namespace ?? ""}`;
}

/**
 * The objects of one kind that the objects of another control: finds them, adopts those that a selector
 * matches and nobody controls, lets go of those that it no longer matches, and remembers its own writes until
 * the watch shows them, so that nothing is made twice.
 */
export class Owned<T extends KubernetesObject> {
  readonly #client: OwnedClient;
  readonly #ownerKind: KindDefinition;
  readonly #informer: Informer<T>;
  readonly #own: OwnWrites<T>;

  constructor(client: OwnedClient, ownerKind: KindDefinition, informer: Informer<T>) {
    this.#client = client;
    this.#ownerKind = ownerKind;
    this.#informer = informer;
    this.#own = new OwnWrites(informer, groupOf, undefined, OWN_WRITE_TTL_MS);
    informer.addIndex(BY_CONTROLLER, (object) => [groupOf(object)]);
  }

  /** All that the owner controls, after adopting and letting go by the selector. */
  async claim(
    owner: KubernetesObject,
    selector: LabelSelector | undefined,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const held = this.heldBy(owner.metadata.uid ?? "");
    const parsed = selector === undefined ? undefined : labelRequirementsOf(selector);
    if (parsed?.kind !== "parsed") return held;
    const matches = ({ metadata }: KubernetesObject): boolean =>
      matchesLabels(parsed.requirements, metadata.labels);
    const isEnding = owner.metadata.deletionTimestamp !== undefined;
    const claimed: T[] = [];
    for (const object of held) {
      if (matches(object) || isEnding) claimed.push(object);
      else await this.#release(owner, object, signal);
    }
    if (isEnding) return claimed;
    const group = `orphans of ${owner.metadata.namespace ?? ""}`;
    const orphans = this.#own
      .view(group, this.#informer.byIndex(BY_CONTROLLER, group))
      .filter((one) => matches(one) && one.metadata.deletionTimestamp === undefined);
    if (orphans.length === 0 || !(await this.#isStillThere(owner, signal))) return claimed;
    for (const orphan of orphans) {
      const adopted = await this.#adopt(owner, orphan, signal);
      if (adopted !== undefined) claimed.push(adopted);
    }
    return claimed;
  }

  heldBy(uid: string): readonly T[] {
    return this.#own.view(uid, this.#informer.byIndex(BY_CONTROLLER, uid));
  }

  async create(draft: Draft<T>, signal: AbortSignal): Promise<T> {
    const made = await this.#client.create(this.#informer.kind, draft, { signal });
    this.#own.wrote(made);
    return made;
  }

  async update(object: T, signal: AbortSignal): Promise<T> {
    const written = await this.#client.update(this.#informer.kind, object, { signal });
    this.#own.wrote(written);
    return written;
  }

  /** Of this very version. @returns undefined when the object is gone. */
  async setFinalizers(
    object: T,
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const { uid, resourceVersion } = object.metadata;
    const patch = {
      kind: "merge",
      body: { metadata: { uid, resourceVersion, finalizers } },
    } as const;
    try {
      const written = await this.#client.patch(this.#informer.kind, object.metadata, patch, {
        signal,
      });
      this.#own.wrote(written);
      return written;
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** Asks for the object's end. Until the watch shows more, it counts as terminating. */
  async delete(object: T, signal: AbortSignal): Promise<void> {
    const { uid } = object.metadata;
    if (!(await deleteThis(this.#client, this.#informer.kind, object, { signal }))) return;
    // The watch may have been faster.
    if (this.#informer.get(keyOf(object))?.metadata.uid !== uid) return;
    const { resourceVersion: _, ...metadata } = object.metadata;
    const deletionTimestamp = metadata.deletionTimestamp ?? metadata.creationTimestamp ?? "";
    this.#own.wrote({ ...object, metadata: { ...metadata, deletionTimestamp } });
  }

  /** To be called for each change of the informer; gives the keys of the owners it concerns. */
  ownersOf(change: Change<T>): readonly ObjectKey[] {
    this.#own.observe(change);
    const { kind } = this.#ownerKind;
    const apiVersion = apiVersionOf(this.#ownerKind);
    return [change.before, change.after].flatMap((object) => {
      const owner = object === undefined ? undefined : controllerOf(object);
      if (owner?.kind !== kind || owner.apiVersion !== apiVersion) return [];
      return [objectKey({ namespace: object?.metadata.namespace, name: owner.name })];
    });
  }

  /** A cached owner may be gone already: what it adopted then would be garbage. */
  async #isStillThere(owner: KubernetesObject, signal: AbortSignal): Promise<boolean> {
    try {
      const { metadata } = await this.#client.get(this.#ownerKind, owner.metadata, { signal });
      return metadata.uid === owner.metadata.uid && metadata.deletionTimestamp === undefined;
    } catch (error) {
      if (hasReason(error, "NotFound")) return false;
      throw error;
    }
  }

  async #adopt(owner: KubernetesObject, object: T, signal: AbortSignal): Promise<T | undefined> {
    const { uid } = object.metadata;
    const ownerReferences = [controllerReference(owner)];
    return this.#patch(object, { metadata: { uid, ownerReferences } }, signal);
  }

  async #release(owner: KubernetesObject, object: T, signal: AbortSignal): Promise<void> {
    const { uid } = object.metadata;
    const ownerReferences = [{ $patch: "delete", uid: owner.metadata.uid }];
    await this.#patch(object, { metadata: { uid, ownerReferences } }, signal);
  }

  async #patch(object: T, body: unknown, signal: AbortSignal): Promise<T | undefined> {
    const patch = { kind: "strategic", body } as const;
    try {
      const written = await this.#client.patch(this.#informer.kind, object.metadata, patch, {
        signal,
      });
      this.#own.forget(object);
      this.#own.wrote(written);
      return written;
    } catch (error) {
      // It is gone, or another one has its name.
      if (hasReason(error, "NotFound", "Conflict", "Invalid")) return undefined;
      throw error;
    }
  }
}
