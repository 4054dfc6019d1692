import type { ControllerRevision } from "../../api/apps/controllerrevision.ts";
import { deepEqual, isJsonObject } from "../../api/machinery/json.ts";
import type { Draft, KubernetesObject, LabelSelector } from "../../api/machinery/metadata.ts";
import type { PodTemplateSpec } from "../../api/v1/pod-template.ts";
import { controllerReference } from "./pods.ts";
import { contentHash } from "./template.ts";

interface Revised extends KubernetesObject {
  readonly spec: {
    readonly template: PodTemplateSpec;
    readonly selector?: LabelSelector | undefined;
    readonly revisionHistoryLimit?: number | undefined;
  };
}

/** Which stored state is the current template's, and what to write so that there is one. */
export interface RevisionPlan {
  /** Name of the state of the current template. */
  readonly name: string;
  readonly create: Draft<ControllerRevision> | undefined;
  /** The same state was there before and is the newest again. */
  readonly renumber: ControllerRevision | undefined;
  readonly delete: readonly ControllerRevision[];
}

/**
 * Keeps the states of a workload's template for undo. The data is a patch of the workload, as `kubectl rollout
 * undo` sends it. @param inUse names of states that Pods have.
 */
export function planRevisions(
  owner: Revised,
  revisions: readonly ControllerRevision[],
  collisions: number,
  inUse: ReadonlySet<string>,
): RevisionPlan {
  const data = { spec: { template: { ...owner.spec.template, $patch: "replace" } } };
  const sorted = revisions.toSorted((a, b) => a.revision - b.revision);
  const latest = sorted.at(-1)?.revision ?? 0;
  const same = sorted.findLast((one) => deepEqual(one.data, data));
  const hash = contentHash(data, collisions);
  const name = same?.metadata.name ?? `${owner.metadata.name}-${hash}`;
  const idle = sorted.filter(
    (one) => one !== same && !inUse.has(one.metadata.name) && !inUse.has(hashOf(one)),
  );
  const excess = Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10));
  return {
    name,
    create:
      same !== undefined
        ? undefined
        : {
            metadata: {
              name,
              namespace: owner.metadata.namespace,
              labels: {
                ...owner.spec.template.metadata?.labels,
                "controller-revision-hash": hash,
              },
              ownerReferences: [controllerReference(owner)],
            },
            data,
            revision: latest + 1,
          },
    renumber:
      same === undefined || same.revision === latest
        ? undefined
        : { ...same, revision: latest + 1 },
    delete: idle.slice(0, excess),
  };
}

/** What DaemonSets put on their Pods. */
function hashOf({ metadata }: ControllerRevision): string {
  return metadata.labels?.["controller-revision-hash"] ?? "";
}

/** The template that a state holds. */
export function templateOf(revision: ControllerRevision | undefined): PodTemplateSpec | undefined {
  const { data } = revision ?? {};
  const spec = isJsonObject(data) ? data["spec"] : undefined;
  const template = isJsonObject(spec) ? spec["template"] : undefined;
  if (!isJsonObject(template)) return undefined;
  const { $patch: _, ...rest } = template;
  // Written by planRevisions from a template.
  return rest as unknown as PodTemplateSpec;
}
