import { controllerRevisionKind } from "../api/apps/controllerrevision.kind.ts";
import { statefulSetKind } from "../api/apps/statefulset.kind.ts";
import { planRevisions, templateOf } from "../core/workloads/revisions.ts";
import { planStatefulSet } from "../core/workloads/statefulset.ts";
import { Owned } from "./owned.ts";
import { writeRevisions } from "./revisions.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

/** Keeps the Pods of StatefulSets, each with its name. */
export function startStatefulSetController(deps: WorkloadDeps): AsyncDisposable {
  const informer = deps.informers.of(controllerRevisionKind);
  const revisions = new Owned(deps.client, statefulSetKind, informer);
  const observing = informer.onChange((change) => {
    revisions.ownersOf(change);
  });
  const loop = startPodWorkload(deps, statefulSetKind, {
    needs: [informer],
    // As upstream's recordPodEvent.
    eventText: (verb, set, pod, error) =>
      `${verb} Pod ${pod.metadata.name ?? ""} in StatefulSet ${set.metadata.name} ` +
      (error === undefined ? "successful" : `failed error: ${error.message}`),
    reconcile: async (set, work) => {
      const { signal, nowMs } = work;
      const pods = await work.pods.claim(set, set.spec.selector, signal);
      const held = await revisions.claim(set, set.spec.selector, signal);
      const inUse = new Set(
        pods.map(({ metadata }) => metadata.labels?.["controller-revision-hash"] ?? ""),
      );
      const current = set.status?.currentRevision ?? "";
      inUse.add(current);
      const revision = planRevisions(set, held, set.status?.collisionCount ?? 0, inUse);
      if (set.metadata.deletionTimestamp === undefined) {
        await writeRevisions(revisions, revision, signal);
      }
      const plan = planStatefulSet({
        set,
        pods,
        updateRevision: revision.name,
        currentTemplate: templateOf(held.find(({ metadata }) => metadata.name === current)),
        nowMs,
      });
      for (const pod of plan.delete) await work.deletePod(set, pod);
      for (const draft of plan.create) await work.createPod(set, draft);
      await work.writeStatus(set, plan.status);
      return again(plan.againAfterMs);
    },
  });
  return {
    [Symbol.asyncDispose]: async () => {
      observing[Symbol.dispose]();
      await loop[Symbol.asyncDispose]();
    },
  };
}
