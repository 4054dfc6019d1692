import { quantityNumber } from "../../api/machinery/quantity.ts";
import type { Container } from "../../api/v1/container.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";

/** Amounts by resource name: cpu in thousandths of a core, all others in whole units (bytes, devices). */
export type Resources = ReadonlyMap<string, number>;

/** What a Pod that asks for nothing is taken to use when nodes are compared, as upstream: 100m and 200Mi. */
const ASSUMED = { cpu: 100, memory: 200 * 2 ** 20 } as const;

/**
 * What a Pod asks of its node: its containers together with its sidecars, or the largest init container with
 * the sidecars started before it if that is more; what the Pod as a whole asks for counts instead; and the
 * overhead. Source: upstream `component-helpers/resource/helpers.go:PodRequests`.
 */
export function podRequests({ spec }: Pod): Resources {
  const running = new Map<string, number>();
  const sidecars = new Map<string, number>();
  const starting = new Map<string, number>();
  for (const container of spec.containers) add(running, requestsOf(container));
  for (const container of spec.initContainers ?? []) {
    const requests = requestsOf(container);
    if (container.restartPolicy === "Always") {
      add(running, requests);
      add(sidecars, requests);
      raise(starting, sidecars);
    } else {
      const together = new Map(sidecars);
      add(together, requests);
      raise(starting, together);
    }
  }
  raise(running, starting);
  for (const [name, amount] of amountsOf(spec.resources?.requests)) running.set(name, amount);
  add(running, amountsOf(spec.overhead));
  return running;
}

/** What the node offers to Pods; empty for a node that does not say. */
export function allocatableOf({ status }: Node): Resources {
  return amountsOf(status?.allocatable);
}

/** What the Pod counts for in a comparison of nodes. */
export function comparedRequests(requests: Resources): {
  readonly cpu: number;
  readonly memory: number;
} {
  return {
    cpu: requests.get("cpu") || ASSUMED.cpu,
    memory: requests.get("memory") || ASSUMED.memory,
  };
}

/** Names of the resources of which the node has too little left. */
export function missingResources(
  requests: Resources,
  used: Resources,
  allocatable: Resources,
): readonly string[] {
  return [...requests].flatMap(([name, amount]) =>
    amount > 0 && amount > (allocatable.get(name) ?? 0) - (used.get(name) ?? 0) ? [name] : [],
  );
}

/** Adds `more` to `sum`, times `sign`. */
export function add(sum: Map<string, number>, more: Resources, sign: 1 | -1 = 1): void {
  for (const [name, amount] of more) sum.set(name, (sum.get(name) ?? 0) + sign * amount);
}

function raise(to: Map<string, number>, atLeast: Resources): void {
  for (const [name, amount] of atLeast) to.set(name, Math.max(to.get(name) ?? 0, amount));
}

function requestsOf({ resources }: Container): Resources {
  return amountsOf(resources?.requests);
}

function amountsOf(quantities: Readonly<Record<string, string | number>> | undefined): Resources {
  const amounts = new Map<string, number>();
  for (const [name, text] of Object.entries(quantities ?? {})) {
    const amount = quantityNumber(text);
    if (amount === undefined) continue;
    // A part of a unit takes the whole.
    amounts.set(name, Math.ceil(name === "cpu" ? amount * 1000 : amount));
  }
  return amounts;
}
