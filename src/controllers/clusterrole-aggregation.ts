import { deepEqual } from "../api/machinery/json.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { clusterRoleKind } from "../api/rbac/rbac.kinds.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { aggregatedRules } from "../core/authorization/aggregation.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface AggregationControllerDeps {
  readonly client: Pick<ApiClient, "update">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Keeps the rules of aggregated ClusterRoles what those that they select have. */
export function startAggregationController(deps: AggregationControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const roles = informers.of(clusterRoleKind);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    await roles.synced(signal);
    const role = roles.get(key);
    if (role === undefined) return { kind: "done" };
    const rules = aggregatedRules(role, roles.list());
    if (rules === undefined || deepEqual(rules, role.rules ?? [])) return { kind: "done" };
    await client.update(clusterRoleKind, { ...role, rules }, { signal });
    log.info("aggregated rules written", { clusterRole: key, rules: rules.length });
    return { kind: "done" };
  };

  const reconciler = startReconciler({ name: "clusterrole-aggregation", reconcile, log, metrics });
  const listener = roles.onChange(() => {
    // Any role may be part of any aggregated one; there are few of these, and a look costs little.
    for (const role of roles.list()) {
      if (role.aggregationRule !== undefined) reconciler.enqueue(keyOf(role));
    }
  });

  return {
    [Symbol.asyncDispose]: async () => {
      listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
