import { controllerRevisionKind } from "../api/apps/controllerrevision.kind.ts";
import { daemonSetKind } from "../api/apps/daemonset.kind.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import { deepEqual } from "../api/machinery/json.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import { planDaemonSet } from "../core/workloads/daemonset.ts";
import { planRevisions } from "../core/workloads/revisions.ts";
import { Owned } from "./owned.ts";
import { writeRevisions } from "./revisions.ts";
import { again, startPodWorkload } from "./workload-loop.ts";
import type { WorkloadDeps } from "./workload-loop.ts";

/** Keeps a Pod of each DaemonSet on each of its nodes. */
export function startDaemonSetController(deps: WorkloadDeps): AsyncDisposable {
  const nodes = deps.informers.of(nodeKind);
  const informer = deps.informers.of(controllerRevisionKind);
  const revisions = new Owned(deps.client, daemonSetKind, informer);
  const loop = startPodWorkload(deps, daemonSetKind, {
    needs: [informer, nodes],
    reconcile: async (set, work) => {
      const pods = await work.pods.claim(set, set.spec.selector, work.signal);
      const held = await revisions.claim(set, set.spec.selector, work.signal);
      const inUse = new Set(
        pods.map(({ metadata }) => metadata.labels?.["controller-revision-hash"] ?? ""),
      );
      const revision = planRevisions(set, held, set.status?.collisionCount ?? 0, inUse);
      if (set.metadata.deletionTimestamp === undefined) {
        await writeRevisions(revisions, revision, work.signal);
      }
      const updateHash = revision.name.slice(set.metadata.name.length + 1);
      const { nowMs } = work;
      const plan = planDaemonSet({ set, nodes: nodes.list(), pods, updateHash, nowMs });
      for (const pod of plan.delete) await work.deletePod(set, pod);
      for (const draft of plan.create) await work.createPod(set, draft);
      await work.writeStatus(set, plan.status);
      return again(plan.againAfterMs);
    },
  });
  const listeners = [
    informer.onChange((change) => {
      revisions.ownersOf(change);
    }),
    nodes.onChange(({ before, after }) => {
      // A node's heartbeat is no news.
      const isSame =
        deepEqual(before?.spec, after?.spec) &&
        deepEqual(before?.metadata.labels, after?.metadata.labels);
      if (before !== undefined && after !== undefined && isSame) return;
      for (const set of loop.objects.list()) loop.reconciler.enqueue(keyOf(set));
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await loop[Symbol.asyncDispose]();
    },
  };
}
