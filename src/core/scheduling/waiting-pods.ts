import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { hostPortsOf } from "./host-ports.ts";
import { podRequests } from "./resources.ts";

interface Group {
  /** First come first. */
  readonly keys: Set<ObjectKey>;
  /** It matters to them where other Pods are. */
  readonly isSocial: boolean;
  /** Why they were refused, and of which state of the cluster that is true. */
  message: string;
  generation: number;
}

/**
 * Pods that no node took, grouped by what they ask: of Pods that ask the same one is tried again when something
 * changes, and the next only once that one was placed. So a change costs the number of groups, not of Pods.
 */
export class WaitingPods {
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<ObjectKey, string>();

  get size(): number {
    return this.#groupOf.size;
  }

  /** Why a Pod that asks the same was refused in this very state of the cluster; undefined: not known. */
  refusal(pod: Pod, generation: number): string | undefined {
    if (this.#groups.size === 0) return undefined;
    const group = this.#groups.get(signatureOf(pod));
    return group?.generation === generation ? group.message : undefined;
  }

  /** @returns who is to be told or tried as well: the others of its group if the reason is news to them. */
  refused(key: ObjectKey, pod: Pod, message: string, generation: number): readonly ObjectKey[] {
    const signature = signatureOf(pod);
    // It asks something else than before: of those that it stood for another must be tried.
    const next = this.#groupOf.get(key) === signature ? undefined : this.removed(key);
    const known = this.#groups.get(signature);
    const group = known ?? { keys: new Set(), isSocial: isSocial(pod), message, generation };
    const isNews = group.message !== message;
    group.message = message;
    group.generation = generation;
    group.keys.add(key);
    this.#groups.set(signature, group);
    this.#groupOf.set(key, signature);
    const others = isNews ? [...group.keys].filter((other) => other !== key) : [];
    return next === undefined ? others : [...others, next];
  }

  /** The Pod was placed, changed or deleted. @returns who is to be tried in its place. */
  removed(key: ObjectKey): ObjectKey | undefined {
    const signature = this.#groupOf.get(key);
    const group = signature === undefined ? undefined : this.#groups.get(signature);
    if (signature === undefined || group === undefined) return undefined;
    this.#groupOf.delete(key);
    group.keys.delete(key);
    if (group.keys.size === 0) this.#groups.delete(signature);
    return firstOf(group);
  }

  /** Who is to be tried after a change: one of each group, or of those to whom other Pods matter. */
  candidates(of: "all" | "social"): readonly ObjectKey[] {
    return [...this.#groups.values()].flatMap((group) => {
      const first = of === "all" || group.isSocial ? firstOf(group) : undefined;
      return first === undefined ? [] : [first];
    });
  }
}

function firstOf({ keys }: Group): ObjectKey | undefined {
  const first = keys.values().next();
  return first.done === true ? undefined : first.value;
}

function isSocial({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const constraints = spec.topologySpreadConstraints ?? [];
  return podAffinity !== undefined || podAntiAffinity !== undefined || constraints.length > 0;
}

/** Equal for Pods that every node takes or refuses alike. */
function signatureOf(pod: Pod): string {
  const { metadata, spec } = pod;
  return JSON.stringify([
    metadata.namespace,
    metadata.labels,
    spec.nodeSelector,
    spec.affinity,
    spec.tolerations,
    spec.topologySpreadConstraints,
    spec.priority,
    [...podRequests(pod)],
    hostPortsOf(pod),
  ]);
}
