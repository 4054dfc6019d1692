import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition, StoredAs } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey, ObjectRef } from "../api/machinery/object-key.ts";
import type { Entry } from "../store/store.ts";
import { withSharedSets } from "./shared-sets.ts";

/**
 * How objects lie in the store: `/registry/GROUP/PLURAL/[NAMESPACE/]NAME` ("core" for the core group) holds
 * the object's JSON without its resourceVersion, which is the entry's revision.
 */

export const REGISTRY = "/registry/";

/** What says where a kind's objects lie. */
type Placed = Pick<KindDefinition, "group" | "plural" | "storedAs">;

export function storagePrefix(kind: Placed): string {
  const { group, plural } = kind.storedAs ?? kind;
  return `${REGISTRY}${group === "" ? "core" : group}/${plural}/`;
}

export function storageKey(kind: Placed, ref: ObjectRef): string {
  return storagePrefix(kind) + objectKey(ref);
}

/** Where it is noted that a node port is taken, so that no two API servers of one store give it away. */
export function nodePortKey(port: number): string {
  return `/ranges/nodeports/${String(port)}`;
}

/** An object as it is served, with its serialized form beside it. */
export interface Served {
  readonly key: ObjectKey;
  readonly object: KubernetesObject;
  /** Revision of the commit that wrote it: its resourceVersion. */
  readonly revision: number;
  /**
   * The object's JSON, serialized once, when a reader first asks for it. A text, since small buffers share slabs of
   * memory and each keeps its whole slab.
   */
  readonly json: string;
  /** About the length of that JSON. */
  readonly size: number;
}

/** The text to store of an object of a kind, in the version in which the kind is stored. */
export function storedText(kind: KindDefinition, object: KubernetesObject): string {
  return encodeStored((kind.custom ?? kind.storedAs)?.toStored(object) ?? object);
}

/** An object's JSON as stores have it. Equal objects give equal texts only if their keys are in the same order. */
export function encodeStored(object: KubernetesObject): string {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...kept } = metadata;
  return JSON.stringify({ kind, apiVersion, metadata: kept, ...rest });
}

/** `object` as it reads at `revision`, with the resourceVersion first in its metadata. */
function atRevision(object: KubernetesObject, revision: number): KubernetesObject {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...kept } = metadata;
  return {
    kind,
    apiVersion,
    metadata: { resourceVersion: String(revision), ...kept },
    ...rest,
  };
}

function completed({ strategy }: KindDefinition, parsed: KubernetesObject): KubernetesObject {
  const defaulted = strategy.defaults(parsed);
  return strategy.completeStored?.(defaulted) ?? defaulted;
}

/**
 * Reads what is stored, with defaults that were added to the kind since it was written (SVC-010).
 * @throws SyntaxError when the stored text is not JSON.
 */
export function decodeStored(kind: KindDefinition, key: ObjectKey, entry: Entry): Served {
  // Only this server writes below REGISTRY, and only validated objects.
  const parsed = sharing(JSON.parse(entry.value) as KubernetesObject);
  const object = kind.custom?.fromStored(parsed) ?? completed(kind, parsed);
  const versioned = atRevision(object, entry.modRevision);
  return new Item(key, versioned, entry.modRevision, entry.value.length, undefined);
}

/** Serialized when a reader first asks for it: parts of this process take objects, and many are never listed. */
class Item implements Served {
  readonly key: ObjectKey;
  readonly object: KubernetesObject;
  readonly revision: number;
  readonly size: number;
  #json: string | undefined;

  constructor(
    key: ObjectKey,
    object: KubernetesObject,
    revision: number,
    size: number,
    json: string | undefined,
  ) {
    this.key = key;
    this.object = object;
    this.revision = revision;
    this.size = size;
    this.#json = json;
  }

  get json(): string {
    this.#json ??= JSON.stringify(this.object);
    return this.#json;
  }
}

/** The same object as another kind. Made when a reader asks for it: most are never read that way. */
class Converted implements Served {
  readonly key: ObjectKey;
  readonly revision: number;
  readonly size: number;
  readonly #stored: Served;
  readonly #kind: StoredAs;

  constructor(stored: Served, kind: StoredAs) {
    this.key = stored.key;
    this.revision = stored.revision;
    this.size = stored.size;
    this.#stored = stored;
    this.#kind = kind;
  }

  get object(): KubernetesObject {
    return this.#kind.fromStored(this.#stored.object);
  }

  get json(): string {
    return JSON.stringify(this.object);
  }
}

/** An object of the kind that others are stored as, as one of those. */
export function converted(stored: Served, kind: StoredAs): Served {
  return new Converted(stored, kind);
}

/** As it is, with the big part of its managedFields kept once for all objects that have the same. */
function sharing(object: KubernetesObject): KubernetesObject {
  const { managedFields } = object.metadata;
  if (managedFields === undefined) return object;
  return {
    ...object,
    metadata: { ...object.metadata, managedFields: withSharedSets(managedFields) },
  };
}

/** Joins an object with its stored text, so that it is serialized only once on its way to readers. */
export function served(
  kind: KindDefinition,
  key: ObjectKey,
  object: KubernetesObject,
  stored: string,
  revision: number,
): Served {
  const versioned = atRevision(object, revision);
  const head = `{"kind":"${kind.kind}","apiVersion":"${apiVersionOf(kind)}","metadata":{`;
  const text = stored.startsWith(head)
    ? `${head}"resourceVersion":"${String(revision)}",${stored.slice(head.length)}`
    : JSON.stringify(versioned);
  return new Item(key, versioned, revision, text.length, text);
}

/** An object that is in no store, and has the version that it says. */
export function unstored(key: ObjectKey, object: KubernetesObject): Served {
  const text = encodeStored(object);
  return new Item(key, object, 0, text.length, text);
}

/** The last state of an object with the revision of its deletion, as DELETED events carry it. */
export function deletedAt(last: Served, revision: number): Served {
  return new Item(last.key, atRevision(last.object, revision), revision, last.size, undefined);
}
