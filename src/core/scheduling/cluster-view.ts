import { deepEqual } from "../../api/machinery/json.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Namespace } from "../../api/v1/namespace.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { isNodeReady } from "../nodes/health.ts";
import { hostPortsOf } from "./host-ports.ts";
import type { HostPort } from "./host-ports.ts";
import { queryMatches, resolveTerm } from "./pod-query.ts";
import type { PodQuery, ResolvedTerm } from "./pod-query.ts";
import { add, allocatableOf, comparedRequests, podRequests } from "./resources.ts";
import type { Resources } from "./resources.ts";

/** A node with what the Pods on it take. */
export interface NodeView {
  readonly node: Node;
  readonly allocatable: Resources;
  readonly podCount: number;
  readonly used: Resources;
  /** As nodes are compared: a Pod that asks for nothing counts for something. */
  readonly compared: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
}

/** What Pods do not want near them, with how many on each node say so. */
export interface Rejection {
  readonly term: ResolvedTerm;
  readonly byNode: ReadonlyMap<string, number>;
}

/** Queries kept up to date; of more the one longest not asked is dropped, and counted anew when asked. */
const MAX_QUERIES = 128;

/** What the Pods of one node take; also of a node that is not known (yet). */
interface Load {
  readonly pods: Map<ObjectKey, Pod>;
  readonly used: Map<string, number>;
  readonly compared: { cpu: number; memory: number };
  hostPorts: readonly HostPort[];
}

/**
 * The nodes and the Pods on them, as placing a Pod asks for them. Kept by the change, so that a Pod more costs
 * the same whatever there is already. Holds the Pods by reference, and no Pod that has ended.
 */
export class ClusterView {
  readonly #nodes = new Map<string, { readonly node: Node; readonly allocatable: Resources }>();
  readonly #loads = new Map<string, Load>();
  readonly #queries = new Map<string, { query: PodQuery; counts: Map<string, number> }>();
  readonly #rejections = new Map<string, { term: ResolvedTerm; byNode: Map<string, number> }>();
  /** Of Pods that have some. */
  readonly #terms = new Map<ObjectKey, readonly ResolvedTerm[]>();
  readonly #namespaces: () => readonly Namespace[];
  #views: readonly NodeView[] | undefined;
  #generation = 0;

  /** @param namespaces those that exist: asked only for Pods with terms that select namespaces by labels. */
  constructor(namespaces: () => readonly Namespace[]) {
    this.#namespaces = namespaces;
  }

  get namespaces(): readonly Namespace[] {
    return this.#namespaces();
  }

  /** Another number whenever something that placing looks at has changed. */
  get generation(): number {
    return this.#generation;
  }

  /** Every known node, in no order. */
  get nodes(): readonly NodeView[] {
    this.#views ??= [...this.#nodes].map(([name, known]) => viewOf(known, this.#loadOf(name)));
    return this.#views;
  }

  node(name: string): Node | undefined {
    return this.#nodes.get(name)?.node;
  }

  get rejections(): Iterable<Rejection> {
    return this.#rejections.values();
  }

  /** @returns whether the change is one that placing looks at; a heartbeat is not. */
  putNode(node: Node): boolean {
    const { name } = node.metadata;
    const before = this.#nodes.get(name)?.node;
    if (before !== undefined && isAlike(before, node)) return false;
    this.#nodes.set(name, { node, allocatable: allocatableOf(node) });
    this.#views = undefined;
    this.#generation += 1;
    return true;
  }

  removeNode(name: string): void {
    if (!this.#nodes.delete(name)) return;
    if (this.#loads.get(name)?.pods.size === 0) this.#loads.delete(name);
    this.#views = undefined;
    this.#generation += 1;
  }

  /** The Pod takes room on the node; it may have been there with other labels. */
  putPod(key: ObjectKey, node: string, pod: Pod): void {
    const load = this.#loadOf(node);
    const before = load.pods.get(key);
    if (before !== undefined && isSamePlacing(before, pod)) {
      load.pods.set(key, pod);
      return;
    }
    if (before !== undefined) this.#count(key, node, before, -1);
    load.pods.set(key, pod);
    this.#count(key, node, pod, 1);
  }

  removePod(key: ObjectKey, node: string): void {
    const load = this.#loads.get(node);
    const pod = load?.pods.get(key);
    if (load === undefined || pod === undefined) return;
    load.pods.delete(key);
    this.#count(key, node, pod, -1);
  }

  /** How many Pods match on each node; nodes without one are left out. */
  countsOf(query: PodQuery): ReadonlyMap<string, number> {
    const known = this.#queries.get(query.id);
    if (known !== undefined) {
      this.#queries.delete(query.id);
      this.#queries.set(query.id, known);
      return known.counts;
    }
    const counts = new Map<string, number>();
    for (const [name, { pods }] of this.#loads) {
      for (const pod of pods.values()) if (queryMatches(query, pod)) change(counts, name, 1);
    }
    this.#queries.set(query.id, { query, counts });
    const oldest = this.#queries.keys().next();
    if (this.#queries.size > MAX_QUERIES && oldest.done !== true) {
      this.#queries.delete(oldest.value);
    }
    return counts;
  }

  #loadOf(name: string): Load {
    let load = this.#loads.get(name);
    if (load === undefined) {
      load = { pods: new Map(), used: new Map(), compared: { cpu: 0, memory: 0 }, hostPorts: [] };
      this.#loads.set(name, load);
    }
    return load;
  }

  #count(key: ObjectKey, node: string, pod: Pod, sign: 1 | -1): void {
    this.#generation += 1;
    const load = this.#loadOf(node);
    const requests = podRequests(pod);
    add(load.used, requests, sign);
    const { cpu, memory } = comparedRequests(requests);
    load.compared.cpu += sign * cpu;
    load.compared.memory += sign * memory;
    if (hostPortsOf(pod).length > 0) {
      load.hostPorts = [...load.pods.values()].flatMap(hostPortsOf);
    }
    for (const { query, counts } of this.#queries.values()) {
      if (queryMatches(query, pod)) change(counts, node, sign);
    }
    for (const term of this.#termsOf(key, pod, sign)) {
      const id = `${term.topologyKey} ${term.query.id}`;
      const known = this.#rejections.get(id) ?? { term, byNode: new Map<string, number>() };
      change(known.byNode, node, sign);
      if (known.byNode.size === 0) this.#rejections.delete(id);
      else this.#rejections.set(id, known);
    }
    if (load.pods.size === 0 && !this.#nodes.has(node)) this.#loads.delete(node);
  }

  /** What was added for a Pod is what is taken away, whatever has become of the namespaces. */
  #termsOf(key: ObjectKey, pod: Pod, sign: 1 | -1): readonly ResolvedTerm[] {
    const terms = sign === 1 ? requiredAntiAffinity(pod, this.#namespaces()) : this.#terms.get(key);
    if (sign === 1 && terms !== undefined && terms.length > 0) this.#terms.set(key, terms);
    else this.#terms.delete(key);
    return terms ?? [];
  }
}

/** What the Pod must not have near it. @param namespaces those that exist. */
export function requiredAntiAffinity(
  pod: Pod,
  namespaces: readonly Namespace[],
): readonly ResolvedTerm[] {
  const terms =
    pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  return terms.map((term) => resolveTerm(term, pod, namespaces));
}

function viewOf(
  { node, allocatable }: { node: Node; allocatable: Resources },
  load: Load,
): NodeView {
  return {
    node,
    allocatable,
    used: load.used,
    compared: load.compared,
    get podCount() {
      return load.pods.size;
    },
    get hostPorts() {
      return load.hostPorts;
    },
  };
}

function change(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function isAlike(a: Node, b: Node): boolean {
  return (
    isNodeReady(a) === isNodeReady(b) &&
    deepEqual(a.metadata.labels ?? {}, b.metadata.labels ?? {}) &&
    deepEqual(a.spec, b.spec) &&
    deepEqual(a.status?.allocatable ?? {}, b.status?.allocatable ?? {})
  );
}

/** Nothing that placing looks at differs; a Pod's spec never does, but for its images and tolerations. */
function isSamePlacing(a: Pod, b: Pod): boolean {
  return (
    a.metadata.uid === b.metadata.uid &&
    (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) &&
    deepEqual(a.metadata.labels ?? {}, b.metadata.labels ?? {})
  );
}
