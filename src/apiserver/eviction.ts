import type { DeleteOptions } from "../api/machinery/delete-options.ts";
import { failure } from "../api/machinery/status.ts";
import { formatTimeMs } from "../api/machinery/time.ts";
import { eviction } from "../api/policy/eviction.ts";
import type { Eviction } from "../api/policy/eviction.ts";
import { podDisruptionBudgetKind as budgetKind } from "../api/policy/poddisruptionbudget.kind.ts";
import type { PodDisruptionBudget } from "../api/policy/poddisruptionbudget.ts";
import type { Pod } from "../api/v1/pod.ts";
import { isPodReady } from "../core/endpoints/pod-address.ts";
import { disruptionConditions, isInBudget } from "../core/workloads/disruption.ts";
import { decodeBody } from "./body.ts";
import type { ApiContext, ResourceCall } from "./context.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { internalError, notFound } from "./failures.ts";
import { placeObject } from "./object-identity.ts";
import { parseWriteQuery } from "./query.ts";
import { writeOptionsOf } from "./write-verbs.ts";
import type { WriteOptions } from "./writer.ts";

const REFUSED = "Cannot evict pod as it would violate the pod's disruption budget.";
/** Until the budget's controller has looked at what was just written. */
const RETRY_SECONDS = 10;

/** POST pods/NAME/eviction: a deletion, unless a PodDisruptionBudget forbids it (upstream `pod/storage/eviction.go`). */
export async function evictPod(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const write = parseWriteQuery(query);
  const type = { apiVersion: "policy/v1", kind: "Eviction", schema: eviction };
  const decoded = await decodeBody(request, type, write.fieldValidation);
  // Decoded by the schema of Eviction.
  const body = placeObject(kind, decoded.object, namespace, name) as unknown as Eviction;
  const options: DeleteOptions = { apiVersion: "v1", kind: "DeleteOptions", ...body.deleteOptions };
  const isDry = write.dryRun || (options.dryRun ?? []).includes("All");
  const served = context.registry.get(kind, { namespace, name });
  if (served === undefined) throw notFound(kind, name);
  // The route is that of Pods.
  const pod = served.object as Pod;
  if (!isFree(pod)) {
    await takeFromBudget(context, pod, { ...writeOptionsOf(call, write), dryRun: isDry });
  }
  await context.deleter.delete(kind, { namespace, name }, options, isDry);
  return jsonResponse(201, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    code: 201,
  });
}

/** Nobody misses a Pod that has ended, is going, or has not begun. */
function isFree({ metadata, status }: Pod): boolean {
  const { phase = "Pending" } = status ?? {};
  return metadata.deletionTimestamp !== undefined || phase !== "Running";
}

/** @throws StatusError 429 when the budget forbids it, 500 when there are two of them. */
async function takeFromBudget(context: ApiContext, pod: Pod, options: WriteOptions): Promise<void> {
  const budgets = context.cache
    .of(budgetKind)
    .snapshot("")
    // The cache is that of PodDisruptionBudgets.
    .map(({ object }) => object as PodDisruptionBudget)
    .filter((one) => isInBudget(one, pod));
  const [budget] = budgets;
  if (budget === undefined) return;
  if (budgets.length > 1) {
    throw internalError(
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const nowMs = context.now();
  const ref = budget.metadata;
  // Asked again of the newest state when somebody else was faster.
  await context.writer.modify(budgetKind, ref, "status", options, ({ object }) =>
    withoutOne(object as PodDisruptionBudget, pod, nowMs),
  );
}

/** The budget with the Pod taken from it, or as it is where the Pod does not count. */
function withoutOne(budget: PodDisruptionBudget, pod: Pod, nowMs: number): PodDisruptionBudget {
  const { metadata, spec, status } = budget;
  const { disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  if (!isPodReady(pod)) {
    const isHealthy = desiredHealthy > 0 && currentHealthy >= desiredHealthy;
    // What does not serve is missed by nobody, unless the application is to come up whole first.
    if (spec.unhealthyPodEvictionPolicy === "AlwaysAllow" || isHealthy) return budget;
  }
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    const why = `The disruption budget ${metadata.name} is still being processed by the server.`;
    throw refusal(why, RETRY_SECONDS);
  }
  if (disruptionsAllowed <= 0) {
    throw refusal(
      `The disruption budget ${metadata.name} needs ${String(desiredHealthy)} healthy pods and has ${String(currentHealthy)} currently`,
    );
  }
  const left = disruptionsAllowed - 1;
  const time = formatTimeMs(nowMs);
  return {
    ...budget,
    status: {
      ...status,
      expectedPods: status?.expectedPods ?? 0,
      currentHealthy,
      desiredHealthy,
      disruptionsAllowed: left,
      disruptedPods: { ...status?.disruptedPods, [pod.metadata.name]: time },
      conditions: disruptionConditions(budget, left, nowMs),
    },
  };
}

function refusal(message: string, retryAfterSeconds?: number): Error {
  return failure(429, "TooManyRequests", REFUSED, {
    causes: [{ reason: "DisruptionBudget", message }],
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
