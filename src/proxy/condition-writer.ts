import { refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informer } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { Reconciler } from "../client/reconcile.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { planCondition } from "./conditions.ts";
import type { FrontendProblem } from "./data-plane.ts";

export interface ConditionWriterDeps {
  readonly client: Pick<ApiClient, "patch">;
  readonly services: Informer<Service>;
  readonly problemsOf: (service: ObjectKey) => readonly FrontendProblem[];
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Writes the condition `portolan.dev/Served` of each Service that is enqueued, where it differs. */
export function startConditionWriter(deps: ConditionWriterDeps): Reconciler {
  return startReconciler({
    name: "proxy-conditions",
    concurrency: 4,
    log: deps.log,
    metrics: deps.metrics,
    reconcile: async (key, signal) => {
      const service = deps.services.get(key);
      if (service === undefined) return { kind: "done" };
      const condition = planCondition(service, deps.problemsOf(key), Date.now());
      if (condition === undefined) return { kind: "done" };
      // Strategic merge keeps the conditions of others, and needs no resourceVersion.
      const patch = { kind: "strategic", body: { status: { conditions: [condition] } } } as const;
      try {
        await deps.client.patch(serviceKind, refOf(key), patch, { subresource: "status", signal });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
      return { kind: "done" };
    },
  });
}
