import { jobKind } from "../api/batch/job.kind.ts";
import type { Job } from "../api/batch/job.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Pod } from "../api/v1/pod.ts";
import { planJob } from "../core/workloads/job.ts";
import { deleteThis } from "./delete-this.ts";
import { isTracked, startJobPodRelease, withoutTracking } from "./job-pods.ts";
import { allOf, slowStart } from "./slow-start.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

/** Runs the Pods of Jobs until enough have succeeded, and removes Jobs whose time is over. */
export function startJobController(deps: WorkloadDeps): AsyncDisposable {
  const latest = new LatestWritten();
  const release = startJobPodRelease(deps);
  const loop = startPodWorkload(deps, jobKind, {
    reconcile: async (cached, work) => {
      const job = latest.of(cached);
      const { signal, nowMs } = work;
      const { managedBy = "kubernetes.io/job-controller", selector } = job.spec;
      if (managedBy !== "kubernetes.io/job-controller") return { kind: "done" };
      const pods = await work.pods.claim(job, selector, signal);
      const plan = planJob({ job, pods, nowMs });
      if (plan.isExpired) {
        await deleteThis(deps.client, jobKind, job, { propagationPolicy: "Foreground", signal });
        return { kind: "done" };
      }
      const written = await work.writeStatus(job, plan.status);
      if (written !== undefined) latest.wrote(job, written);
      const letGo = (pod: Pod): Promise<Pod | undefined> =>
        isTracked(pod)
          ? work.pods.setFinalizers(pod, withoutTracking(pod), signal)
          : Promise.resolve(pod);
      await allOf(plan.release, letGo);
      await allOf(plan.delete, async (pod) => {
        const left = plan.isCounted ? pod : await letGo(pod);
        if (left !== undefined) await work.deletePod(job, left);
      });
      await slowStart(plan.create, (draft) => work.createPod(job, draft));
      return again(plan.againAfterMs);
    },
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await release[Symbol.asyncDispose]();
    },
  };
}

/**
 * A Job as this loop wrote it last, until the watch shows it: Pods are let go once the status has noted them, and
 * an older status would have them run again. Holds the writes that are not seen yet.
 */
class LatestWritten {
  readonly #written = new Map<
    ObjectKey,
    { readonly base: string | undefined; readonly job: Job }
  >();

  of(cached: Job): Job {
    const key = keyOf(cached);
    const written = this.#written.get(key);
    if (written === undefined) return cached;
    const isBehind =
      cached.metadata.uid === written.job.metadata.uid &&
      cached.metadata.resourceVersion === written.base;
    if (isBehind) return written.job;
    this.#written.delete(key);
    return cached;
  }

  wrote(before: Job, job: Job): void {
    const key = keyOf(job);
    // The cache may be two writes behind.
    const base = this.#written.get(key)?.base ?? before.metadata.resourceVersion;
    this.#written.set(key, { base, job });
  }
}
