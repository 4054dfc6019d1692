import { jobKind } from "../api/batch/job.kind.ts";
import { keyOf, objectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { startReconciler } from "../client/reconcile.ts";
import { JOB_TRACKING } from "../core/workloads/job-counts.ts";
import { controllerOf } from "../core/workloads/pods.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

const BY_TRACKING_JOB = "tracking-job-uid";

/** A Job holds it until its end is counted. */
export function isTracked({ metadata }: Pod): boolean {
  return (metadata.finalizers ?? []).includes(JOB_TRACKING);
}

/** The Pod's finalizers without the one that holds it for its Job. */
export function withoutTracking({ metadata }: Pod): readonly string[] {
  return (metadata.finalizers ?? []).filter((one) => one !== JOB_TRACKING);
}

/** Lets Pods go that are held for a Job that is gone, or no longer theirs: nobody will count them. */
export function startJobPodRelease(deps: WorkloadDeps): AsyncDisposable {
  const { client, informers, log, metrics } = deps;
  const jobs = informers.of(jobKind);
  const pods = informers.of(podKind);
  const ownerOf = (pod: Pod): string | undefined => {
    const owner = controllerOf(pod);
    return owner?.kind === "Job" ? owner.uid : undefined;
  };
  pods.addIndex(BY_TRACKING_JOB, (pod) => (isTracked(pod) ? [ownerOf(pod) ?? ""] : []));

  const reconciler = startReconciler({
    name: "job-pod-release",
    log,
    metrics,
    reconcile: async (key, signal) => {
      await jobs.synced(signal);
      const pod = pods.get(key);
      if (pod === undefined || !isTracked(pod)) return { kind: "done" };
      const { namespace, uid, resourceVersion } = pod.metadata;
      const owner = controllerOf(pod);
      if (owner?.kind === "Job") {
        const ref = { namespace, name: owner.name };
        if (jobs.get(objectKey(ref))?.metadata.uid === owner.uid) return { kind: "done" };
        try {
          const job = await client.get(jobKind, ref, { signal });
          if (job.metadata.uid === owner.uid) return { kind: "done" };
        } catch (error) {
          if (!hasReason(error, "NotFound")) throw error;
        }
      }
      const body = { metadata: { uid, resourceVersion, finalizers: withoutTracking(pod) } };
      try {
        await client.patch(podKind, pod.metadata, { kind: "merge", body }, { signal });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
      return { kind: "done" };
    },
  });
  const listeners = [
    pods.onChange(({ key, after }) => {
      if (after !== undefined && isTracked(after)) reconciler.enqueue(key);
    }),
    jobs.onChange(({ before, after }) => {
      if (before === undefined || before.metadata.uid === after?.metadata.uid) return;
      const held = pods.byIndex(BY_TRACKING_JOB, before.metadata.uid ?? "");
      for (const pod of held) reconciler.enqueue(keyOf(pod));
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
