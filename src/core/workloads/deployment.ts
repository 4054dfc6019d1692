import type { Deployment } from "../../api/apps/deployment.ts";
import type { ReplicaSet } from "../../api/apps/replicaset.ts";
import { deepEqual } from "../../api/machinery/json.ts";
import type { Draft, ObjectMeta } from "../../api/machinery/metadata.ts";
import type { PodTemplateSpec } from "../../api/v1/pod-template.ts";
import { compareNames, controllerReference, msOf } from "./pods.ts";
import { paceOf, rollDown, rollUp, scaleProportionally } from "./rolling.ts";
import type { Pace, Part } from "./rolling.ts";
import { contentHash } from "./template.ts";

const HASH_LABEL = "pod-template-hash";
export const REVISION = "deployment.kubernetes.io/revision";
const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
const DESIRED = "deployment.kubernetes.io/desired-replicas";
const MAX = "deployment.kubernetes.io/max-replicas";
/** Annotations that say something of one object only. */
const NOT_COPIED = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED,
  MAX,
  "deprecated.deployment.rollback.to",
]);

export interface DeploymentObserved {
  readonly deployment: Deployment;
  /** Those it controls. */
  readonly replicaSets: readonly ReplicaSet[];
  /** A Pod of a ReplicaSet, by its UID, that has not ended: it may still be terminating. */
  readonly hasPods: (replicaSetUid: string) => boolean;
}

export interface DeploymentPlan {
  readonly create: Draft<ReplicaSet> | undefined;
  /** Whole objects, with sizes and annotations changed. */
  readonly update: readonly ReplicaSet[];
  readonly delete: readonly ReplicaSet[];
  /** The Deployment's revision annotation, where it must change. */
  readonly revision: string | undefined;
  /** The set of the current template, as it was observed. */
  readonly fresh: ReplicaSet | undefined;
  readonly olds: readonly ReplicaSet[];
}

/** What moves a Deployment one step towards its template and size; its status is planned apart. */
export function planDeployment(observed: DeploymentObserved): DeploymentPlan {
  const { deployment } = observed;
  const sets = observed.replicaSets.toSorted(byAge);
  const fresh = sets.find((set) => isSameTemplate(set.spec.template, deployment.spec.template));
  const olds = sets.filter((set) => set !== fresh);
  const nothing = { create: undefined, update: [], delete: [], revision: undefined, fresh, olds };
  if (deployment.metadata.deletionTimestamp !== undefined) return nothing;

  const sizes = sizesOf(observed, fresh, olds);
  const paused = deployment.spec.paused === true;
  const revision = String(1 + Math.max(0, ...olds.map(revisionOf)));
  const current =
    fresh !== undefined && revisionOf(fresh) >= Number(revision)
      ? String(revisionOf(fresh))
      : revision;
  const update = olds.flatMap((set, i) =>
    changed(set, withSize(deployment, set, sizes.olds[i] ?? 0)),
  );
  if (fresh !== undefined) {
    const sized = withSize(deployment, fresh, sizes.fresh);
    update.unshift(...changed(fresh, withRevision(deployment, sized, current)));
  }
  const isMade = fresh === undefined && !paused && sizes.fresh !== undefined;
  return {
    ...nothing,
    create: isMade ? newSet(deployment, sizes.fresh ?? 0, revision) : undefined,
    update,
    delete: paused || isComplete(deployment) ? surplus(deployment, olds) : [],
    revision:
      (fresh !== undefined || isMade) && deployment.metadata.annotations?.[REVISION] !== current
        ? current
        : undefined,
  };
}

interface Sizes {
  /** undefined: it must not be made yet. */
  readonly fresh: number | undefined;
  readonly olds: readonly number[];
}

function sizesOf(
  { deployment, hasPods }: DeploymentObserved,
  fresh: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): Sizes {
  const { spec } = deployment;
  const replicas = spec.replicas ?? 1;
  const oldSizes = olds.map(wantedOf);
  const isRolling = spec.strategy?.type !== "Recreate";
  const pace = paceOf(
    replicas,
    spec.strategy?.rollingUpdate?.maxSurge,
    spec.strategy?.rollingUpdate?.maxUnavailable,
  );
  const all = fresh === undefined ? olds : [fresh, ...olds];
  const active = all.filter((set) => wantedOf(set) > 0);
  const isScaled = active.some(({ metadata }) => {
    const desired = metadata.annotations?.[DESIRED];
    return desired !== undefined && desired !== String(replicas);
  });
  if (spec.paused === true || (isScaled && isRolling && active.length > 1)) {
    return scaledSizes(deployment, pace, fresh, olds);
  }
  if (!isRolling) {
    const isClear = olds.every((set) => !hasPods(set.metadata.uid ?? ""));
    return {
      fresh: isClear ? replicas : fresh && wantedOf(fresh),
      olds: oldSizes.map(() => 0),
    };
  }
  const part = fresh === undefined ? { wanted: 0, available: 0 } : partOf(fresh);
  const parts = olds.map(partOf);
  const up = rollUp(pace, part, parts);
  // One thing at a time: what grows now is not yet there to make up for what shrinks.
  if (fresh === undefined || up !== part.wanted) return { fresh: up, olds: oldSizes };
  return { fresh: up, olds: rollDown(pace, part, parts) };
}

/** A new size in the midst of an update, or while paused: nothing is rolled, only scaled. */
function scaledSizes(
  deployment: Deployment,
  pace: Pace,
  fresh: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): Sizes {
  const { replicas } = pace;
  // Oldest first.
  const all = fresh === undefined ? olds : [...olds, fresh].toSorted(byAge);
  const active = all.filter((set) => wantedOf(set) > 0);
  const split = (sizeOf: (set: ReplicaSet) => number): Sizes => ({
    fresh: fresh === undefined ? undefined : sizeOf(fresh),
    olds: olds.map(sizeOf),
  });
  if (active.length <= 1) {
    const only = active[0] ?? fresh ?? olds.at(-1);
    return split((set) => (set === only ? replicas : wantedOf(set)));
  }
  if (fresh !== undefined && isSaturated(fresh, replicas)) {
    return split((set) => (set === fresh ? wantedOf(set) : 0));
  }
  const isKnown = active.every(
    ({ metadata }) => metadata.annotations?.[DESIRED] === String(replicas),
  );
  if (isKnown || deployment.spec.strategy?.type === "Recreate") return split(wantedOf);
  const sizes = scaleProportionally(
    pace,
    active.map((set) => ({
      wanted: wantedOf(set),
      total: Number(set.metadata.annotations?.[MAX] ?? 0) || undefined,
    })),
    deployment.status?.replicas ?? 0,
  );
  return split((set) => sizes[active.indexOf(set)] ?? wantedOf(set));
}

/** The update is through but for the ends of old Pods (upstream `deployment_util.go:IsSaturated`). */
function isSaturated(fresh: ReplicaSet, replicas: number): boolean {
  return (
    wantedOf(fresh) === replicas &&
    fresh.metadata.annotations?.[DESIRED] === String(replicas) &&
    fresh.status?.availableReplicas === replicas
  );
}

function partOf(set: ReplicaSet): Part {
  return { wanted: wantedOf(set), available: set.status?.availableReplicas ?? 0 };
}

export function wantedOf({ spec }: ReplicaSet): number {
  return spec.replicas ?? 1;
}

function revisionOf({ metadata }: ReplicaSet): number {
  const revision = Number(metadata.annotations?.[REVISION] ?? 0);
  return Number.isSafeInteger(revision) ? revision : 0;
}

/** The templates are the same but for the label that each set adds. */
export function isSameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return deepEqual(withoutHash(a), withoutHash(b));
}

function withoutHash(template: PodTemplateSpec): object {
  const { [HASH_LABEL]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const age = (set: ReplicaSet): number => msOf(set.metadata.creationTimestamp) ?? 0;
  return age(a) - age(b) || compareNames(a, b);
}

function sizeAnnotations({ spec }: Deployment): Record<string, string> {
  const replicas = spec.replicas ?? 1;
  const { maxSurge } = paceOf(replicas, spec.strategy?.rollingUpdate?.maxSurge, 0);
  return { [DESIRED]: String(replicas), [MAX]: String(replicas + maxSurge) };
}

function copiedAnnotations({ metadata }: Deployment): Record<string, string> {
  const own = Object.entries(metadata.annotations ?? {});
  return Object.fromEntries(own.filter(([key]) => !NOT_COPIED.has(key)));
}

function withSize(deployment: Deployment, set: ReplicaSet, size: number | undefined): ReplicaSet {
  const replicas = size ?? wantedOf(set);
  // Old empty sets stay as they are: an update of each at every change of size would be for nothing.
  if (replicas === 0 && wantedOf(set) === 0) return set;
  const annotations = { ...set.metadata.annotations, ...sizeAnnotations(deployment) };
  return {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  };
}

function withRevision(deployment: Deployment, set: ReplicaSet, revision: string): ReplicaSet {
  const { annotations = {} } = set.metadata;
  const before = annotations[REVISION];
  const history = annotations[REVISION_HISTORY];
  const moved = before !== undefined && before !== revision;
  const { minReadySeconds = 0 } = deployment.spec;
  const { minReadySeconds: _, ...spec } = set.spec;
  return {
    ...set,
    metadata: {
      ...set.metadata,
      annotations: {
        ...annotations,
        ...copiedAnnotations(deployment),
        ...sizeAnnotations(deployment),
        [REVISION]: revision,
        ...(moved
          ? { [REVISION_HISTORY]: history === undefined ? before : `${history},${before}` }
          : {}),
      },
    },
    spec: minReadySeconds === 0 ? spec : { ...spec, minReadySeconds },
  };
}

function changed(old: ReplicaSet, next: ReplicaSet): readonly ReplicaSet[] {
  const isSame =
    deepEqual(old.spec, next.spec) &&
    deepEqual(old.metadata.annotations, next.metadata.annotations);
  return isSame ? [] : [next];
}

/** The name of the set of a Deployment's template. */
function newSetName(deployment: Deployment): string {
  const collisions = deployment.status?.collisionCount ?? 0;
  return `${deployment.metadata.name}-${contentHash(withoutHash(deployment.spec.template), collisions)}`;
}

function newSet(deployment: Deployment, replicas: number, revision: string): Draft<ReplicaSet> {
  const { spec, metadata } = deployment;
  const name = newSetName(deployment);
  const hash = name.slice(metadata.name.length + 1);
  const labels = { ...spec.template.metadata?.labels, [HASH_LABEL]: hash };
  // A template has no name; see defaultPodTemplate.
  const templateMetadata = { ...spec.template.metadata, labels } as ObjectMeta;
  return {
    metadata: {
      name,
      namespace: metadata.namespace,
      labels,
      annotations: {
        ...copiedAnnotations(deployment),
        ...sizeAnnotations(deployment),
        [REVISION]: revision,
      },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      selector: {
        ...spec.selector,
        matchLabels: { ...spec.selector?.matchLabels, [HASH_LABEL]: hash },
      },
      template: { ...spec.template, metadata: templateMetadata },
    },
  };
}

/** As its status says, of this very spec (upstream `deployment_util.go:DeploymentComplete`). */
function isComplete({ metadata, spec, status = {} }: Deployment): boolean {
  const wanted = spec.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
  );
}

/** Old empty sets beyond the history that is kept, oldest revisions first. */
function surplus({ spec }: Deployment, olds: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = spec.revisionHistoryLimit ?? 10;
  const idle = olds.filter(
    (set) =>
      wantedOf(set) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      set.status?.observedGeneration === set.metadata.generation &&
      set.metadata.deletionTimestamp === undefined,
  );
  const count = Math.max(0, olds.filter((set) => wantedOf(set) === 0).length - limit);
  return idle.toSorted((a, b) => revisionOf(a) - revisionOf(b)).slice(0, count);
}
