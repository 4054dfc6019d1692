import type { KindDefinition } from "../api/machinery/kind.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KubernetesObject, ObjectMeta } from "../api/machinery/metadata.ts";
import { badRequest, conflict } from "./failures.ts";
import type { StatusError } from "../api/machinery/status.ts";
import type { Served } from "./stored.ts";

/** Letters and digits without those that look alike or could spell a word. */
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_PREFIX = 63 - SUFFIX_LENGTH;

/** `prefix` with five random characters; a long prefix is cut so that the name fits a DNS label. */
export function generateName(prefix: string, random: () => number): string {
  let name = prefix.slice(0, MAX_GENERATED_PREFIX);
  for (let i = 0; i < SUFFIX_LENGTH; i++) {
    name += SUFFIX_ALPHABET[Math.floor(random() * SUFFIX_ALPHABET.length)] ?? "b";
  }
  return name;
}

/** Seconds, as metav1.Time has them. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

/**
 * Puts the URL's namespace into the body's metadata and checks that body and URL speak of one object.
 * @throws StatusError 400.
 */
export function placeObject(
  kind: KindDefinition,
  object: KubernetesObject,
  namespace: string,
  name: string | undefined,
): KubernetesObject {
  const metadata = object.metadata;
  if (name !== undefined && (metadata.name ?? "") !== "" && metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  const own = metadata.namespace ?? "";
  if (own !== "" && own !== namespace) {
    throw badRequest(
      kind.namespaced
        ? `the namespace of the provided object does not match the namespace sent on the request`
        : `namespace specified on a cluster-scoped object of kind ${kind.kind}: ${own}`,
    );
  }
  const { namespace: _, ...rest } = metadata;
  return {
    ...object,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {
      ...rest,
      name: name ?? metadata.name ?? "",
      ...(kind.namespaced ? { namespace } : {}),
    },
  };
}

/** Metadata of an object that is being created: what the server owns is the server's. */
export function createdMetadata(
  metadata: ObjectMeta,
  given: { readonly uid: string; readonly nowMs: number; readonly hasGeneration: boolean },
): ObjectMeta {
  const {
    resourceVersion: _rv,
    uid: _uid,
    creationTimestamp: _created,
    deletionTimestamp: _deleted,
    deletionGracePeriodSeconds: _grace,
    selfLink: _link,
    managedFields: _managed,
    generation: _generation,
    ...kept
  } = metadata;
  return {
    ...kept,
    uid: given.uid,
    ...(given.hasGeneration ? { generation: 1 } : {}),
    creationTimestamp: timestamp(given.nowMs),
  };
}

/** Metadata of an update: what the server owns stays as it was. */
export function updatedMetadata(metadata: ObjectMeta, old: ObjectMeta): ObjectMeta {
  const {
    resourceVersion: _rv,
    uid: _uid,
    creationTimestamp: _created,
    deletionTimestamp: _deleted,
    deletionGracePeriodSeconds: _grace,
    selfLink: _link,
    managedFields: _managed,
    generation: _generation,
    generateName,
    ...kept
  } = metadata;
  const prefix = generateName ?? old.generateName;
  return {
    ...kept,
    ...(prefix === undefined ? {} : { generateName: prefix }),
    uid: old.uid,
    creationTimestamp: old.creationTimestamp,
    ...(old.generation === undefined ? {} : { generation: old.generation }),
    ...(old.deletionTimestamp === undefined ? {} : { deletionTimestamp: old.deletionTimestamp }),
    ...(old.deletionGracePeriodSeconds === undefined
      ? {}
      : { deletionGracePeriodSeconds: old.deletionGracePeriodSeconds }),
  };
}

export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** @returns the 409 to throw when the object is not the one that the caller means. */
export function preconditionFailure(
  kind: KindDefinition,
  item: Served,
  { uid, resourceVersion }: Preconditions,
): StatusError | undefined {
  const { name, uid: actual = "" } = item.object.metadata;
  if (uid !== undefined && uid !== actual) {
    return conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${actual}`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== String(item.revision)) {
    return conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${String(item.revision)}`,
    );
  }
  return undefined;
}
