import { invalid } from "../../api/machinery/field-error.ts";
import type { FieldError } from "../../api/machinery/field-error.ts";
import type { ServiceSpec } from "../../api/v1/service.ts";
import { allocateNodePort, claimNodePort, formatNodePortRange } from "./node-port-allocator.ts";
import type { NodePortRange, UsedPorts } from "./node-port-allocator.ts";
import {
  allocatesNodePorts,
  hasNodePorts,
  needsHealthCheckNodePort,
  nodePortsOf,
  portsOf,
} from "./service-needs.ts";

export type NodePortPlan =
  | {
      readonly kind: "planned";
      readonly spec: ServiceSpec;
      /** Ports newly taken; each once. */
      readonly claimed: readonly number[];
    }
  | { readonly kind: "invalid"; readonly errors: readonly FieldError[] }
  | { readonly kind: "failed"; readonly message: string };

interface Pools {
  readonly nodePortRange: NodePortRange;
  readonly usedPorts: UsedPorts;
  readonly random: number;
}

/** Allocates node ports and the health-check node port of a Service whose type has them. */
export function planNodePorts(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  pools: Pools,
): NodePortPlan {
  const held = new Set(old !== undefined && hasNodePorts(old) ? nodePortsOf(old) : []);
  const claimed = new Set<number>();
  // Within one Service a number may be shared by protocols; against all others it is exclusive (ALLOC-027).
  const used: UsedPorts = {
    has: (port) => pools.usedPorts.has(port) || claimed.has(port) || held.has(port),
  };
  let next = spec;
  if (hasNodePorts(spec)) {
    const ports = [];
    // On create, ports of one number share a node port; on update each missing one gets its own.
    const shared = old === undefined ? requestedByPort(spec) : new Map<number, number>();
    for (const [i, port] of portsOf(spec).entries()) {
      const wanted = port.nodePort ?? 0;
      if (wanted === 0 && !allocatesNodePorts(spec)) {
        ports.push(port);
        continue;
      }
      const nodePort = wanted === 0 ? (shared.get(port.port) ?? 0) : wanted;
      if (nodePort === 0) {
        const result = allocateNodePort(pools.nodePortRange, used, pools.random);
        if (result.kind !== "allocated") {
          return { kind: "failed", message: "failed to allocate a nodePort: range is full" };
        }
        claimed.add(result.port);
        if (old === undefined) shared.set(port.port, result.port);
        ports.push({ ...port, nodePort: result.port });
        continue;
      }
      const why = claim(nodePort, pools, held, claimed);
      if (why !== undefined) {
        const field = `spec.ports[${String(i)}].nodePort`;
        return { kind: "invalid", errors: [invalid(field, nodePort, why)] };
      }
      ports.push({ ...port, nodePort });
    }
    next = { ...next, ports };
  }
  return planHealthCheckNodePort(next, old, pools, { used, held, claimed });
}

function planHealthCheckNodePort(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  pools: Pools,
  own: {
    readonly used: UsedPorts;
    readonly held: ReadonlySet<number>;
    readonly claimed: Set<number>;
  },
): NodePortPlan {
  const { used, claimed } = own;
  const isKept = old !== undefined && needsHealthCheckNodePort(old);
  if (!needsHealthCheckNodePort(spec) || isKept) {
    return { kind: "planned", spec, claimed: [...claimed] };
  }
  const wanted = spec.healthCheckNodePort ?? 0;
  if (wanted === 0) {
    const result = allocateNodePort(pools.nodePortRange, used, pools.random);
    if (result.kind !== "allocated") {
      return {
        kind: "failed",
        message: "failed to allocate a HealthCheck NodePort 0: range is full",
      };
    }
    claimed.add(result.port);
    return {
      kind: "planned",
      spec: { ...spec, healthCheckNodePort: result.port },
      claimed: [...claimed],
    };
  }
  const result = claimNodePort(pools.nodePortRange, used, wanted);
  if (result.kind !== "allocated") {
    // Upstream reports the client's mistake as its own; kubectl users see the same 500.
    const message = `failed to allocate requested HealthCheck NodePort ${String(wanted)}: ${reason(result.kind, pools.nodePortRange)}`;
    return { kind: "failed", message };
  }
  claimed.add(wanted);
  return { kind: "planned", spec, claimed: [...claimed] };
}

/** Node ports that the client named, by the number of the port. */
function requestedByPort(spec: ServiceSpec): Map<number, number> {
  const requested = new Map<number, number>();
  for (const { port, nodePort = 0 } of portsOf(spec)) {
    if (nodePort !== 0 && !requested.has(port)) requested.set(port, nodePort);
  }
  return requested;
}

/** Takes a port into `claimed` unless this Service has it already. @returns why not, or undefined. */
function claim(
  port: number,
  { nodePortRange, usedPorts }: Pools,
  held: ReadonlySet<number>,
  claimed: Set<number>,
): string | undefined {
  if (held.has(port) || claimed.has(port)) return undefined;
  const result = claimNodePort(nodePortRange, usedPorts, port);
  if (result.kind !== "allocated") return reason(result.kind, nodePortRange);
  claimed.add(port);
  return undefined;
}

function reason(kind: "taken" | "outOfRange" | "exhausted", range: NodePortRange): string {
  switch (kind) {
    case "taken":
      return "provided port is already allocated";
    case "outOfRange":
      return `provided port is not in the valid range. The range of valid ports is ${formatNodePortRange(range)}`;
    case "exhausted":
      return "range is full";
  }
}
