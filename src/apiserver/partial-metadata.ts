import type { KubernetesObject } from "../api/machinery/metadata.ts";

/** An object reduced to its metadata (metav1.PartialObjectMetadata). */
export function partialMetadata({ metadata }: KubernetesObject, version: string): object {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata };
}
