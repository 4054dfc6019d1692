import type { Condition } from "../api/machinery/metadata.ts";
import type { Service } from "../api/v1/service.ts";
import { compareText } from "../core/proxy/frontend.ts";
import { PROBLEM_REASONS } from "./data-plane.ts";
import type { FrontendProblem } from "./data-plane.ts";

/** False while some address or port of the Service is not served as its spec and status say. */
export const SERVED = "portolan.dev/Served";

/** Messages that a condition lists; a Service may have hundreds of ports. */
const MAX_MESSAGES = 5;

/** What is written to the Service; the fields that a condition needs, all of them. */
export type ServedCondition = Pick<
  Condition,
  "type" | "status" | "reason" | "message" | "lastTransitionTime" | "observedGeneration"
>;

/**
 * The condition to write, or undefined when what the Service says is right. A Service that never had a
 * problem gets no condition: that all is well needs no write for each of ten thousand Services.
 */
export function planCondition(
  service: Service,
  problems: readonly FrontendProblem[],
  nowMs: number,
): ServedCondition | undefined {
  const old = service.status?.conditions?.find((condition) => condition.type === SERVED);
  if (problems.length === 0 && (old === undefined || old.status === "True")) return undefined;
  const { status, reason, message } = stateOf(problems);
  if (old?.status === status && old.reason === reason && old.message === message) return undefined;
  const { generation } = service.metadata;
  return {
    type: SERVED,
    status,
    reason,
    message,
    lastTransitionTime:
      old?.status === status
        ? old.lastTransitionTime
        : new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z"),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

function stateOf(
  problems: readonly FrontendProblem[],
): Pick<ServedCondition, "status" | "reason" | "message"> {
  const sorted = [...problems].sort(
    (a, b) =>
      PROBLEM_REASONS.indexOf(a.reason) - PROBLEM_REASONS.indexOf(b.reason) ||
      compareText(a.frontend, b.frontend),
  );
  const [first] = sorted;
  if (first === undefined) {
    const message = "All addresses and ports that have endpoints are served.";
    return { status: "True", reason: "Served", message };
  }
  const messages = sorted.slice(0, MAX_MESSAGES).map((problem) => problem.message);
  const more = sorted.length - messages.length;
  if (more > 0) messages.push(`${String(more)} more like these.`);
  return { status: "False", reason: first.reason, message: messages.join(" ") };
}
