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
