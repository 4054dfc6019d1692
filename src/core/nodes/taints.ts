import { deepEqual } from "../../api/machinery/json.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Taint } from "../../api/v1/taint.ts";

const PREFIX = "node.kubernetes.io";
const NOT_READY = `${PREFIX}/not-ready`;
const UNREACHABLE = `${PREFIX}/unreachable`;

/** The taint's key by a condition's type and status. Source: upstream `nodeConditionToTaintKeyStatusMap`. */
const BY_CONDITION: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: `${PREFIX}/memory-pressure` },
  DiskPressure: { True: `${PREFIX}/disk-pressure` },
  PIDPressure: { True: `${PREFIX}/pid-pressure` },
  NetworkUnavailable: { True: `${PREFIX}/network-unavailable` },
};
const UNSCHEDULABLE = `${PREFIX}/unschedulable`;

/** Keys of taints that only the node lifecycle controller sets and takes away. */
const OWN_NO_SCHEDULE: ReadonlySet<string> = new Set([
  ...Object.values(BY_CONDITION).flatMap((byStatus) => Object.values(byStatus)),
  UNSCHEDULABLE,
]);
const OWN_NO_EXECUTE: ReadonlySet<string> = new Set([NOT_READY, UNREACHABLE]);

/** Whether Pods may be driven off a node that is not ready: yes, not yet or not now, or never mind if they were. */
export type Expulsion = "allowed" | "held" | "withdrawn";

/** The key of the taint that drives Pods off the node, if its state calls for one. */
export function expellingKey({ status }: Node): string | undefined {
  const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
  return ready === undefined ? undefined : BY_CONDITION["Ready"]?.[ready.status];
}

/**
 * The taints that the node should have (NODE-001): what its conditions and a cordon say, and all that others
 * have set. Undefined when it has them.
 * @param expulsion about `NoExecute`: `held` leaves a taint that is there, but sets none.
 * @param now RFC 3339.
 */
export function planTaints(
  node: Node,
  expulsion: Expulsion,
  now: string,
): readonly Taint[] | undefined {
  const taints = node.spec.taints ?? [];
  const wanted = (node.status?.conditions ?? []).flatMap(({ type, status }) => {
    const key = BY_CONDITION[type]?.[status];
    return key === undefined ? [] : [{ key, effect: "NoSchedule" }];
  });
  if (node.spec.unschedulable === true) wanted.push({ key: UNSCHEDULABLE, effect: "NoSchedule" });
  const expelling = expellingKey(node);
  const hasExpelling = taints.some(isOwnNoExecute);
  const mayExpel = expulsion === "allowed" || (expulsion === "held" && hasExpelling);
  if (expelling !== undefined && mayExpel) wanted.push({ key: expelling, effect: "NoExecute" });
  const next = [
    ...taints.filter((taint) => !isOwn(taint) || wanted.some((one) => isSame(one, taint))),
    ...wanted
      .filter((one) => !taints.some((taint) => isSame(one, taint)))
      .map((one) => ({ ...one, timeAdded: now })),
  ];
  return deepEqual(next, taints) ? undefined : next;
}

/** The node has a taint of ours that drives Pods off. */
export function isExpelling({ spec }: Node): boolean {
  return (spec.taints ?? []).some(isOwnNoExecute);
}

function isOwn(taint: Taint): boolean {
  return isOwnNoExecute(taint) || (taint.effect === "NoSchedule" && OWN_NO_SCHEDULE.has(taint.key));
}

function isOwnNoExecute({ key, effect }: Taint): boolean {
  return effect === "NoExecute" && OWN_NO_EXECUTE.has(key);
}

function isSame(a: Taint, b: Taint): boolean {
  return a.key === b.key && a.effect === b.effect;
}
