import { deploymentKind } from "../api/apps/deployment.kind.ts";
import type { Deployment } from "../api/apps/deployment.ts";
import { replicaSetKind } from "../api/apps/replicaset.kind.ts";
import type { ReplicaSet } from "../api/apps/replicaset.ts";
import type { Draft } from "../api/machinery/metadata.ts";
import { keyOf, objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason, StatusError } from "../api/machinery/status.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import { referenceTo } from "../client/events.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { planDeploymentStatus } from "../core/workloads/deployment-status.ts";
import type { NewSetOutcome } from "../core/workloads/deployment-status.ts";
import {
  isSameTemplate,
  planDeployment,
  REVISION,
  wantedOf,
} from "../core/workloads/deployment.ts";
import type { DeploymentPlan } from "../core/workloads/deployment.ts";
import { controllerOf, isEnded } from "../core/workloads/pods.ts";
import { isNamespaceGone } from "./namespace-gone.ts";
import { Owned } from "./owned.ts";
import { again, writeStatus } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

const CONCURRENCY = 4;
const BY_CONTROLLER = "controller-uid";

/** Moves Deployments from one template to the next, a ReplicaSet each. */
export function startDeploymentController(deps: WorkloadDeps): AsyncDisposable {
  const { client, informers, log, metrics, events, now = Date.now } = deps;
  const deployments = informers.of(deploymentKind);
  const setInformer = informers.of(replicaSetKind);
  const pods = informers.of(podKind);
  pods.addIndex(BY_CONTROLLER, (pod) => [
    controllerOf(pod)?.uid ?? `orphans of ${pod.metadata.namespace ?? ""}`,
  ]);
  const sets = new Owned(client, deploymentKind, setInformer);

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    for (const informer of [deployments, setInformer, pods]) await informer.synced(signal);
    const deployment = deployments.get(key);
    if (deployment === undefined) return { kind: "done" };
    const replicaSets = await sets.claim(deployment, deployment.spec.selector, signal);
    const plan = planDeployment({
      deployment,
      replicaSets,
      hasPods: (uid) => pods.byIndex(BY_CONTROLLER, uid).some((pod) => !isEnded(pod)),
    });
    let { fresh } = plan;
    let outcome: NewSetOutcome | undefined;
    let current = deployment;
    try {
      for (const set of plan.update) await scale(deployment, replicaSets, set, signal);
      if (plan.create !== undefined) {
        const made = await make(deployment, plan.create, signal);
        if (made === undefined) return { kind: "done" };
        fresh = made;
        outcome = { kind: "created", name: made.metadata.name };
      }
      for (const set of plan.delete) await sets.delete(set, signal);
      if (plan.revision !== undefined) current = await note(deployment, plan.revision, signal);
    } catch (error) {
      if (isNamespaceGone(error)) return { kind: "done" };
      if (plan.create !== undefined && fresh === undefined && error instanceof StatusError) {
        await tellFailure(deployment, plan, error, signal);
      }
      throw error;
    }
    // What was just made or scaled tells of itself in a moment, through its status.
    const status = planDeploymentStatus({
      deployment,
      fresh,
      olds: plan.olds,
      outcome,
      nowMs: now(),
    });
    await writeStatus(client, deploymentKind, current, status.status, signal);
    return again(status.againAfterMs);
  };

  const tellFailure = async (
    deployment: Deployment,
    { create, olds }: DeploymentPlan,
    error: StatusError,
    signal: AbortSignal,
  ): Promise<void> => {
    const name = create?.metadata.name ?? "";
    const message = `Failed to create new replica set ${JSON.stringify(name)}: ${error.message}`;
    events?.record(referenceTo(deployment), "Warning", "ReplicaSetCreateError", message);
    const { status } = planDeploymentStatus({
      deployment,
      fresh: undefined,
      olds,
      outcome: { kind: "failed", message },
      nowMs: now(),
    });
    await writeStatus(client, deploymentKind, deployment, status, signal);
  };

  const scale = async (
    deployment: Deployment,
    before: readonly ReplicaSet[],
    set: ReplicaSet,
    signal: AbortSignal,
  ): Promise<void> => {
    const old = before.find(({ metadata }) => metadata.uid === set.metadata.uid);
    await sets.update(set, signal);
    const [from, to] = [old === undefined ? 0 : wantedOf(old), wantedOf(set)];
    if (from === to) return;
    const direction = to > from ? "up" : "down";
    const text = `Scaled ${direction} replica set ${set.metadata.name} from ${String(from)} to ${String(to)}`;
    events?.record(referenceTo(deployment), "Normal", "ScalingReplicaSet", text);
  };

  /** @returns undefined when the name was taken: the next look takes another one. */
  const make = async (
    deployment: Deployment,
    draft: Draft<ReplicaSet>,
    signal: AbortSignal,
  ): Promise<ReplicaSet | undefined> => {
    const { name = "", namespace } = draft.metadata;
    let made: ReplicaSet;
    try {
      made = await sets.create(draft, signal);
    } catch (error) {
      if (!hasReason(error, "AlreadyExists")) throw error;
      const there = await client.get(replicaSetKind, { namespace, name }, { signal });
      const isOurs =
        controllerOf(there)?.uid === deployment.metadata.uid &&
        isSameTemplate(there.spec.template, deployment.spec.template);
      if (isOurs) throw error; // The watch is behind; the retry will see it.
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      const status = { ...deployment.status, collisionCount };
      await writeStatus(client, deploymentKind, deployment, status, signal);
      return undefined;
    }
    const text = `Scaled up replica set ${name} from 0 to ${String(draft.spec?.replicas ?? 0)}`;
    events?.record(referenceTo(deployment), "Normal", "ScalingReplicaSet", text);
    return made;
  };

  const note = (
    { metadata }: Deployment,
    revision: string,
    signal: AbortSignal,
  ): Promise<Deployment> => {
    const body = { metadata: { annotations: { [REVISION]: revision } } };
    return client.patch(deploymentKind, metadata, { kind: "merge", body }, { signal });
  };

  const reconciler = startReconciler({
    name: "deployment",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const listeners = [
    deployments.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    setInformer.onChange((change) => {
      for (const key of sets.ownersOf(change)) reconciler.enqueue(key);
      const { after } = change;
      if (after === undefined || controllerOf(after) !== undefined) return;
      for (const one of deployments.list()) {
        if (one.metadata.namespace === after.metadata.namespace) reconciler.enqueue(keyOf(one));
      }
    }),
    // Recreate waits for the last old Pod.
    pods.onChange(({ before, after }) => {
      const owner = before === undefined ? undefined : controllerOf(before);
      if (owner?.kind !== "ReplicaSet" || (after !== undefined && !isEnded(after))) return;
      const set = setInformer.get(
        objectKey({ namespace: before?.metadata.namespace, name: owner.name }),
      );
      const deployment = set === undefined ? undefined : controllerOf(set);
      if (deployment?.kind !== "Deployment") return;
      reconciler.enqueue(
        objectKey({ namespace: before?.metadata.namespace, name: deployment.name }),
      );
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
