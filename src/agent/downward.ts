import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { EnvVarSource } from "../api/v1/env.ts";
import { parseQuantity } from "./quantity.ts";

type ResourceFieldRef = NonNullable<EnvVarSource["resourceFieldRef"]>;

/** What the agent knows of a Pod that the Pod's spec does not say. */
export interface PodPlace {
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  /** What limits default to: the node's allocatable cpu (cores), memory and ephemeral-storage (bytes). */
  readonly allocatable: Readonly<Record<"cpu" | "memory" | "ephemeral-storage", number>>;
}

/**
 * The value of a downward-API field, or undefined for a path that there is none for. A label or annotation
 * that the Pod lacks is empty.
 */
export function fieldValue(pod: Pod, place: PodPlace, path: string): string | undefined {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) {
    const values = keyed[1] === "labels" ? pod.metadata.labels : pod.metadata.annotations;
    return values?.[keyed[2] ?? ""] ?? "";
  }
  switch (path) {
    case "metadata.name":
      return pod.metadata.name;
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid ?? "";
    case "metadata.labels":
      return lines(pod.metadata.labels);
    case "metadata.annotations":
      return lines(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec.serviceAccountName ?? "";
    case "status.podIP":
      return place.podIps[0] ?? "";
    case "status.podIPs":
      return place.podIps.join(",");
    case "status.hostIP":
      return place.hostIps[0] ?? "";
    case "status.hostIPs":
      return place.hostIps.join(",");
    default:
      return undefined;
  }
}

/**
 * A container's limit or request, in units of the divisor (default 1), rounded up. What is not set is the
 * node's allocatable for limits and 0 for requests. Undefined for a resource or container that is unknown.
 */
export function resourceValue(
  pod: Pod,
  own: Container,
  place: PodPlace,
  ref: ResourceFieldRef,
): string | undefined {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const name = ref.containerName ?? "";
  const container = name === "" ? own : all.find((candidate) => candidate.name === name);
  const [, side, resource = ""] =
    /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(ref.resource) ?? [];
  if (container === undefined || side === undefined) return undefined;
  const limit = container.resources?.limits?.[resource];
  const set = side === "limits" ? limit : (container.resources?.requests?.[resource] ?? limit);
  const value =
    set === undefined ? (side === "limits" ? allocatable(place, resource) : 0) : parseQuantity(set);
  const given = parseQuantity(ref.divisor ?? 1);
  const divisor = given === undefined || given <= 0 ? 1 : given;
  // The small subtraction keeps binary noise (0.3 / 0.1) from rounding a whole number up.
  return value === undefined ? undefined : String(Math.ceil(value / divisor - 1e-9));
}

/** Of huge pages this node has none. */
function allocatable({ allocatable: all }: PodPlace, resource: string): number {
  return resource === "cpu" || resource === "memory" || resource === "ephemeral-storage"
    ? all[resource]
    : 0;
}

function lines(values: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(values ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}
