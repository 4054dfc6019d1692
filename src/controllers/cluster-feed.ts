import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Node } from "../api/v1/node.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Change } from "../client/informer.ts";
import type { ClusterView } from "../core/scheduling/cluster-view.ts";

interface Assumed {
  readonly uid: string | undefined;
  readonly node: string;
}

/** What a change means to Pods that no node took. */
export type Effect = "none" | "room" | "neighbour";

/** Keeps a view of the cluster equal to the informers, with the Pods just placed, which the watch does not show yet. */
export class ClusterFeed {
  readonly #view: ClusterView;
  readonly #assumed = new Map<ObjectKey, Assumed>();

  constructor(view: ClusterView) {
    this.#view = view;
  }

  /** The Pod is being put on the node. */
  assume(pod: Pod, node: string): void {
    const key = keyOf(pod);
    this.#assumed.set(key, { uid: pod.metadata.uid, node });
    this.#view.putPod(key, node, pod);
  }

  /** That failed. */
  unassume(pod: Pod): void {
    const key = keyOf(pod);
    const assumed = this.#assumed.get(key);
    if (assumed === undefined) return;
    this.#assumed.delete(key);
    this.#view.removePod(key, assumed.node);
  }

  isAssumed(pod: Pod): boolean {
    const assumed = this.#assumed.get(keyOf(pod));
    return assumed !== undefined && assumed.uid === pod.metadata.uid;
  }

  /** To be called for each change of a Node. */
  observeNode({ before, after }: Change<Node>): Effect {
    if (after !== undefined) return this.#view.putNode(after) ? "room" : "none";
    if (before !== undefined) this.#view.removeNode(before.metadata.name);
    // Messages count the nodes, and the least crowded domain may have gone.
    return "room";
  }

  /** To be called for each change of a Pod. */
  observePod({ key, before, after }: Change<Pod>): Effect {
    const node = nodeOf(after);
    const assumed = this.#assumed.get(key);
    const isStillAssumed =
      assumed !== undefined && node === undefined && after?.metadata.uid === assumed.uid;
    if (assumed !== undefined && !isStillAssumed) {
      this.#assumed.delete(key);
      if (assumed.node !== node) this.#view.removePod(key, assumed.node);
    }
    const generation = this.#view.generation;
    const previous = nodeOf(before);
    const isFreed = previous !== undefined && previous !== node;
    if (isFreed) this.#view.removePod(key, previous);
    if (node !== undefined && after !== undefined) this.#view.putPod(key, node, after);
    if (isFreed) return "room";
    return this.#view.generation === generation ? "none" : "neighbour";
  }
}

/** The node on which the Pod takes room; undefined when it has none, or has ended. */
function nodeOf(pod: Pod | undefined): string | undefined {
  const { nodeName = "" } = pod?.spec ?? {};
  const phase = pod?.status?.phase;
  return nodeName === "" || phase === "Succeeded" || phase === "Failed" ? undefined : nodeName;
}
