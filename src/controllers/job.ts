import { jobKind } from "../api/batch/job.kind.ts";
import { hasReason } from "../api/machinery/status.ts";
import { planJob } from "../core/workloads/job.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

/** Runs the Pods of Jobs until enough have succeeded, and removes Jobs whose time is over. */
export function startJobController(deps: WorkloadDeps): AsyncDisposable {
  return startPodWorkload(deps, jobKind, {
    reconcile: async (job, work) => {
      const { signal, nowMs } = work;
      const { managedBy = "kubernetes.io/job-controller", selector } = job.spec;
      if (managedBy !== "kubernetes.io/job-controller") return { kind: "done" };
      const pods = await work.pods.claim(job, selector, signal);
      const plan = planJob({ job, pods, nowMs });
      if (plan.isExpired) {
        const { uid } = job.metadata;
        const preconditions = uid === undefined ? {} : { uid };
        const propagationPolicy = "Foreground";
        try {
          const options = { preconditions, propagationPolicy, signal } as const;
          await deps.client.delete(jobKind, job.metadata, options);
        } catch (error) {
          if (!hasReason(error, "NotFound", "Conflict")) throw error;
        }
        return { kind: "done" };
      }
      for (const pod of plan.delete) await work.deletePod(job, pod);
      for (const draft of plan.create) await work.createPod(job, draft);
      await work.writeStatus(job, plan.status);
      return again(plan.againAfterMs);
    },
  });
}
