import type { StatefulSet, StatefulSetStatus } from "../../api/apps/statefulset.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import type { PodTemplateSpec } from "../../api/v1/pod-template.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { countPods, isActive, isEnded, untilAvailable } from "./pods.ts";
import { podFrom } from "./template.ts";

const REVISION_LABEL = "controller-revision-hash";

export interface StatefulSetObserved {
  readonly set: StatefulSet;
  readonly pods: readonly Pod[];
  /** Name of the state of the current template. */
  readonly updateRevision: string;
  /** Template of the state that Pods below the partition keep; undefined: no longer known. */
  readonly currentTemplate: PodTemplateSpec | undefined;
  readonly nowMs: number;
}

export interface StatefulSetPlan {
  readonly create: readonly Draft<Pod>[];
  readonly delete: readonly Pod[];
  readonly status: StatefulSetStatus;
  readonly againAfterMs: number | undefined;
}

/** The number at the end of a Pod's name; undefined for Pods of other names. */
function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return /^\d+$/.test(rest) ? Number(rest) : undefined;
}

/**
 * What moves a StatefulSet one step. OrderedReady: one Pod at a time, up in order of ordinals, down and updated
 * in reverse, each only when those before it are available. Parallel: sizes at once, updates still in turn.
 */
export function planStatefulSet(observed: StatefulSetObserved): StatefulSetPlan {
  const { set, pods, updateRevision, nowMs } = observed;
  const { spec } = set;
  const minReady = spec.minReadySeconds ?? 0;
  const status = statusOf(observed);
  const plan = (create: readonly Draft<Pod>[], remove: readonly Pod[]): StatefulSetPlan => ({
    create,
    delete: remove,
    status,
    againAfterMs: countPods(pods.filter(isActive), minReady, nowMs).nextAvailableMs,
  });
  if (set.metadata.deletionTimestamp !== undefined) return plan([], []);

  const start = spec.ordinals?.start ?? 0;
  const end = start + (spec.replicas ?? 1);
  const isOrdered = spec.podManagementPolicy !== "Parallel";
  const byOrdinal = new Map<number, Pod>();
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  const isHealthy = (pod: Pod): boolean =>
    isActive(pod) && untilAvailable(pod, minReady, nowMs) === 0;
  const create: Draft<Pod>[] = [];
  const remove: Pod[] = [];
  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) create.push(newPod(observed, ordinal, status));
    else if (isEnded(pod) && pod.metadata.deletionTimestamp === undefined) remove.push(pod);
    else if (isHealthy(pod)) continue;
    if (isOrdered) return plan(create, remove);
  }
  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal < start || ordinal >= end)
    .toSorted(([a], [b]) => b - a)
    .map(([, pod]) => pod);
  if (isOrdered && condemned.length > 0) {
    const [last] = condemned;
    const isGoing = condemned.some(({ metadata }) => metadata.deletionTimestamp !== undefined);
    return plan(create, last === undefined || isGoing ? [] : [last]);
  }
  remove.push(...condemned.filter(({ metadata }) => metadata.deletionTimestamp === undefined));
  if (spec.updateStrategy?.type === "OnDelete" || create.length + remove.length > 0) {
    return plan(create, remove);
  }
  const partition = Math.max(start, start + (spec.updateStrategy?.rollingUpdate?.partition ?? 0));
  for (let ordinal = end - 1; ordinal >= partition; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) continue;
    const isCurrent = pod.metadata.labels?.[REVISION_LABEL] === updateRevision;
    if (!isCurrent && pod.metadata.deletionTimestamp === undefined) return plan([], [pod]);
    if (!isHealthy(pod)) break;
  }
  return plan(create, remove);
}

function newPod(
  { set, currentTemplate, updateRevision }: StatefulSetObserved,
  ordinal: number,
  { currentRevision = updateRevision }: StatefulSetStatus,
): Draft<Pod> {
  const { spec, metadata } = set;
  const name = `${metadata.name}-${String(ordinal)}`;
  const start = spec.ordinals?.start ?? 0;
  const isKept =
    ordinal < start + (spec.updateStrategy?.rollingUpdate?.partition ?? 0) &&
    currentTemplate !== undefined;
  const template = isKept ? currentTemplate : spec.template;
  const claims = (spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata?.name ?? "",
    persistentVolumeClaim: { claimName: `${claim.metadata?.name ?? ""}-${name}` },
  }));
  const others = (template.spec.volumes ?? []).filter(
    (volume) => !claims.some((claim) => claim.name === volume.name),
  );
  return podFrom(template, set, {
    name,
    labels: {
      "statefulset.kubernetes.io/pod-name": name,
      "apps.kubernetes.io/pod-index": String(ordinal),
      [REVISION_LABEL]: isKept ? currentRevision : updateRevision,
    },
    spec: {
      // With these two the headless Service gives the Pod its name in DNS.
      hostname: name,
      subdomain: spec.serviceName,
      ...(claims.length === 0 ? {} : { volumes: [...others, ...claims] }),
    },
  });
}

function statusOf({ set, pods, updateRevision, nowMs }: StatefulSetObserved): StatefulSetStatus {
  const { spec, metadata, status: old } = set;
  const active = pods.filter(isActive);
  const counts = countPods(active, spec.minReadySeconds ?? 0, nowMs);
  const before = old?.currentRevision || updateRevision;
  const having = (revision: string): number =>
    active.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision).length;
  const updated = having(updateRevision);
  const wanted = spec.replicas ?? 1;
  // The update is over when all Pods have the new state and are ready.
  const isOver = updated === wanted && counts.ready === wanted && pods.length === wanted;
  const currentRevision = isOver ? updateRevision : before;
  return {
    ...old,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    replicas: pods.length,
    readyReplicas: counts.ready,
    availableReplicas: counts.available,
    currentReplicas: having(currentRevision),
    updatedReplicas: updated,
    currentRevision,
    updateRevision,
    collisionCount: old?.collisionCount ?? 0,
  };
}
