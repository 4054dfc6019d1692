import type { Pod } from "../../api/v1/pod.ts";
import { matchesLabelMap } from "../../api/machinery/label-selector.ts";
import type { Service } from "../../api/v1/service.ts";

/**
 * The controllers keep this Service's endpoints (EPS-007): it has a selector and is no ExternalName. An
 * empty selector counts as none, since the wire's protobuf form cannot tell them apart.
 */
export function hasManagedEndpoints({ spec }: Service): boolean {
  return spec.type !== "ExternalName" && Object.keys(spec.selector ?? {}).length > 0;
}

/** The Pod is of the Service's namespace and has all labels of its selector. */
export function selectsPod(service: Service, pod: Pod): boolean {
  return (
    service.metadata.namespace === pod.metadata.namespace &&
    hasManagedEndpoints(service) &&
    matchesLabelMap(service.spec.selector ?? {}, pod.metadata.labels)
  );
}

/**
 * One of the labels that the selector asks for, as text, by which Services find Pods and Pods find Services
 * without looking at all of them; undefined for a Service that selects nothing.
 */
export function selectorHandle(service: Service): string | undefined {
  if (!hasManagedEndpoints(service)) return undefined;
  const [first] = Object.entries(service.spec.selector ?? {}).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return first === undefined ? undefined : handle(service.metadata.namespace, ...first);
}

/** The handles of all selectors that can take this Pod. */
export function podHandles(pod: Pod): readonly string[] {
  return Object.entries(pod.metadata.labels ?? {}).map(([key, value]) =>
    handle(pod.metadata.namespace, key, value),
  );
}

function handle(namespace: string | undefined, key: string, value: string): string {
  return `${namespace ?? ""}/${key}=${value}`;
}
