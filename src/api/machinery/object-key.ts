import type { KubernetesObject } from "./metadata.ts";

/** `namespace/name`, or `name` for an object of the cluster: the key of caches and work queues. */
export type ObjectKey = string & { readonly __brand: "ObjectKey" };

export interface ObjectRef {
  /** Absent for objects of the cluster. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

export function objectKey(ref: ObjectRef): ObjectKey {
  const text =
    ref.namespace === undefined || ref.namespace === "" ? ref.name : `${ref.namespace}/${ref.name}`;
  // The only cast to ObjectKey.
  return text as ObjectKey;
}

export function keyOf(object: Pick<KubernetesObject, "metadata">): ObjectKey {
  return objectKey(object.metadata);
}

/** The inverse of {@link objectKey}. */
export function refOf(key: ObjectKey): ObjectRef {
  const slash = key.indexOf("/");
  return slash === -1
    ? { name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
