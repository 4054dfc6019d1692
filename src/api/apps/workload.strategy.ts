import type { ScalePaths } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { keepAllButStatus, keepStatus, PLAIN_STRATEGY } from "../machinery/strategy.ts";

/** A create cannot bring a status. */
export function withoutStatus<T extends KubernetesObject>(object: T): T {
  const { status: _, ...rest } = object as T & { status?: unknown };
  // A kind's status may always be absent.
  return rest as unknown as T;
}

/** What all workloads have in common: the generation counts the spec, and /status is apart. */
export const WORKLOAD_STRATEGY = {
  ...PLAIN_STRATEGY,
  prepareForCreate: withoutStatus,
  prepareForUpdate: keepStatus,
  prepareForStatusUpdate: keepAllButStatus,
  generation: "spec",
} as const;

/** Where /scale finds the replicas of workloads that have them. */
export const REPLICAS_SCALE = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["spec", "selector"],
} as const satisfies ScalePaths;
