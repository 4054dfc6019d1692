import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Change } from "../client/informer.ts";
import { hostPortsOf } from "../core/scheduling/host-ports.ts";
import type { HostPort } from "../core/scheduling/host-ports.ts";

interface Assumed {
  readonly uid: string | undefined;
  readonly node: string;
}

/** Which Pods each node has, kept by the change; with those just placed, which the watch does not show yet. */
export class NodeLoads {
  readonly #byNode = new Map<string, Map<ObjectKey, Pod>>();
  readonly #assumed = new Map<ObjectKey, Assumed>();

  /** Pods that have not ended. */
  countOn(node: string): number {
    return this.#byNode.get(node)?.size ?? 0;
  }

  hostPortsOn(node: string): readonly HostPort[] {
    return [...(this.#byNode.get(node)?.values() ?? [])].flatMap((pod) => hostPortsOf(pod));
  }

  /** The Pod is being put on the node. */
  assume(pod: Pod, node: string): void {
    const key = keyOf(pod);
    this.#assumed.set(key, { uid: pod.metadata.uid, node });
    this.#enter(node, key, pod);
  }

  /** That failed. */
  unassume(pod: Pod): void {
    const key = keyOf(pod);
    const assumed = this.#assumed.get(key);
    if (assumed === undefined) return;
    this.#assumed.delete(key);
    this.#leave(assumed.node, key);
  }

  isAssumed(pod: Pod): boolean {
    const assumed = this.#assumed.get(keyOf(pod));
    return assumed !== undefined && assumed.uid === pod.metadata.uid;
  }

  /** To be called for each change. @returns whether a node has one Pod less. */
  observe({ key, before, after }: Change<Pod>): boolean {
    const node = nodeOf(after);
    const assumed = this.#assumed.get(key);
    const isStillAssumed =
      assumed !== undefined && node === undefined && after?.metadata.uid === assumed.uid;
    if (assumed !== undefined && !isStillAssumed) {
      this.#assumed.delete(key);
      if (assumed.node !== node) this.#leave(assumed.node, key);
    }
    const previous = nodeOf(before);
    if (previous !== undefined && previous !== node) this.#leave(previous, key);
    if (node !== undefined && after !== undefined) this.#enter(node, key, after);
    return previous !== undefined && previous !== node;
  }

  #enter(node: string, key: ObjectKey, pod: Pod): void {
    const pods = this.#byNode.get(node) ?? new Map<ObjectKey, Pod>();
    this.#byNode.set(node, pods);
    pods.set(key, pod);
  }

  #leave(node: string, key: ObjectKey): void {
    const pods = this.#byNode.get(node);
    pods?.delete(key);
    if (pods?.size === 0) this.#byNode.delete(node);
  }
}

/** The node on which the Pod takes room; undefined when it has none, or has ended. */
function nodeOf(pod: Pod | undefined): string | undefined {
  const { nodeName = "" } = pod?.spec ?? {};
  const phase = pod?.status?.phase;
  return nodeName === "" || phase === "Succeeded" || phase === "Failed" ? undefined : nodeName;
}
