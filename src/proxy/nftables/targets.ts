import { diffBackends } from "../../core/proxy/backend-list.ts";
import type { Backend, BackendSet } from "../../core/proxy/frontend.ts";
import { placeText } from "../../core/proxy/place.ts";
import { isLinkLocalUnicast, isLoopback, isMulticast, isUnspecified } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import type { ElementSink } from "./elements.ts";
import { endpointBytes, pairBytes, words } from "./key-bytes.ts";
import { affinityOp, MAX_AFFINITY_CLASSES, MAX_LOG2, OP } from "./program.ts";
import type { Policy } from "./program.ts";
import { BucketList } from "./bucket-list.ts";
import { SlotList } from "./slot-list.ts";
import type { EndpointList, SlotChange } from "./slot-list.ts";
import { Numbers, UseCounts } from "./use-counts.ts";

/** Bits 30..12 of a carrier. */
const LISTS = 2 ** 19;
/** Bits 30..16 of a carrier. */
const AFFINITY_PORTS = 2 ** 15;
const MAX_ENDPOINTS = 2 ** MAX_LOG2;
const HANDLE = 0x8000_0000;
const POLICIES = ["cluster", "local"] as const;

interface Affinity {
  readonly number: number;
  readonly timeoutClass: number;
  readonly handles: Map<string, number>;
  next: number;
}

/** One Service port in one address family. */
export interface Target {
  readonly key: string;
  /** Frontends that lead here. */
  users: number;
  set: BackendSet;
  /** Endpoints that cannot be forwarded to. */
  readonly refused: Record<Policy, ReadonlyMap<string, Backend>>;
  readonly lists: Readonly<Record<Policy, { readonly number: number; slots: EndpointList }>>;
  affinity: Affinity | undefined;
}

/** The Service ports of one family's table with the slots that their endpoints have in the kernel's maps. */
export class Targets {
  readonly #targets = new Map<string, Target>();
  readonly #unused = new Set<Target>();
  readonly #lists = new Numbers(LISTS);
  readonly #affinities = new Numbers(AFFINITY_PORTS);
  readonly #classes = new Map<number, number>();
  readonly #hairpins = new UseCounts<IpAddress>();
  readonly #hasHash: boolean;

  /** Without the kernel's hash every list is chosen from at random. */
  constructor(hasHash: boolean) {
    this.#hasHash = hasHash;
  }

  /** The target of a backend set, brought up to date. */
  resolve(set: BackendSet, family: IpFamily, sink: ElementSink): Target {
    const key = `${set.service} ${set.portName} ${set.protocol} ${family}`;
    const known = this.#targets.get(key);
    if (known?.set === set) return known;
    const target = known ?? this.#newTarget(key, set);
    if (known === undefined) this.#targets.set(key, target);
    const before: Pick<BackendSet, Policy> = known?.set ?? { cluster: [], local: [] };
    const hasBalance = this.#setBalance(target, set, sink);
    const hasAffinity = this.#setAffinity(target, set.affinitySeconds, sink);
    const kept = hasBalance && hasAffinity ? before : NOTHING;
    target.set = set;
    for (const policy of POLICIES)
      this.#changeList(target, policy, kept[policy], set[policy], sink);
    return target;
  }

  #newTarget(key: string, set: BackendSet): Target {
    const list = (): { number: number; slots: EndpointList } => {
      const number = this.#lists.take();
      if (number === undefined) throw new Error(`more than ${String(LISTS)} lists of endpoints`);
      return { number, slots: this.#emptyList(set) };
    };
    const lists = { cluster: list(), local: list() };
    const refused = { cluster: NONE_REFUSED, local: NONE_REFUSED };
    return { key, users: 0, set, refused, lists, affinity: undefined };
  }

  /** One frontend leads there no more. */
  release(target: Target): void {
    target.users--;
    if (target.users === 0) this.#unused.add(target);
  }

  /** Ends a change: what no frontend leads to any more goes. */
  finish(sink: ElementSink): void {
    for (const target of this.#unused) {
      if (target.users > 0) continue;
      this.#targets.delete(target.key);
      this.#clear(target, sink);
      for (const policy of POLICIES) this.#lists.giveBack(target.lists[policy].number);
    }
    this.#unused.clear();
    const hairpins = this.#hairpins.takeChanges();
    for (const address of hairpins.ended) sink.delete("hairpin", pairBytes(address));
    for (const address of hairpins.begun) sink.add("hairpin", pairBytes(address));
  }

  /** @returns whether the lists' elements stay; false when they were deleted, as they go into other maps. */
  #setAffinity(target: Target, seconds: number | undefined, sink: ElementSink): boolean {
    const old = target.affinity;
    if (seconds === undefined && old === undefined) return true;
    const timeoutClass = seconds === undefined ? undefined : this.#classOf(seconds, sink);
    if (old !== undefined && timeoutClass !== undefined) {
      target.affinity = { ...old, timeoutClass };
      return true;
    }
    this.#clear(target, sink);
    if (timeoutClass === undefined) return false;
    const number = this.#affinities.take();
    if (number !== undefined) {
      target.affinity = { number, timeoutClass, handles: new Map(), next: 0 };
    }
    return false;
  }

  /** @returns whether the lists' elements stay; false when they were deleted, as others take their slots. */
  #setBalance(target: Target, set: BackendSet, sink: ElementSink): boolean {
    if (target.set.balance === set.balance) return true;
    this.#clear(target, sink);
    for (const policy of POLICIES) target.lists[policy].slots = this.#emptyList(set);
    return false;
  }

  #emptyList({ balance }: BackendSet): EndpointList {
    return balance === "source-hash" && this.#hasHash ? new BucketList() : new SlotList();
  }

  #classOf(seconds: number, sink: ElementSink): number | undefined {
    const known = this.#classes.get(seconds);
    if (known !== undefined) return known;
    if (this.#classes.size >= MAX_AFFINITY_CLASSES) return undefined;
    const timeoutClass = this.#classes.size;
    this.#classes.set(seconds, timeoutClass);
    sink.needAffinityClass(timeoutClass, seconds);
    return timeoutClass;
  }

  #clear(target: Target, sink: ElementSink): void {
    for (const policy of POLICIES) {
      const { slots } = target.lists[policy];
      const backends = [...slots.backends()];
      this.#writeSlots(target, policy, slots.clear(), sink);
      this.#forget(target, policy, backends, sink);
      target.refused[policy] = NONE_REFUSED;
    }
    if (target.affinity !== undefined) this.#affinities.giveBack(target.affinity.number);
    target.affinity = undefined;
  }

  #changeList(
    target: Target,
    policy: Policy,
    before: readonly Backend[],
    after: readonly Backend[],
    sink: ElementSink,
  ): void {
    const { removed, added, replaced } = diffBackends(before, after);
    if (removed.length + added.length + replaced.length === 0) return;
    const { slots } = target.lists[policy];
    const room = MAX_ENDPOINTS - (slots.length - removed.length);
    const forwardable = added.filter((backend) => isForwardable(backend.address)).slice(0, room);
    const good = nameable(forwardable, target.affinity);
    const refused = target.refused[policy];
    if (refused.size > 0 || good.length < added.length) {
      target.refused[policy] = refusedAfter(refused, removed, added, good);
    }
    const gone = removed.filter((backend) => slots.has(backend));
    for (const backend of good) {
      if (backend.isLocal) this.#hairpins.add(backend.address, 1);
    }
    for (const backend of replaced) {
      // Came to this node, or left it, under the address that it had.
      if (slots.has(backend)) this.#hairpins.add(backend.address, backend.isLocal ? 1 : -1);
      slots.replace(backend);
    }
    this.#remember(target, policy, good, sink);
    this.#writeSlots(target, policy, slots.change(gone, good), sink);
    this.#forget(target, policy, gone, sink);
  }

  #writeSlots(
    target: Target,
    policy: Policy,
    changes: readonly SlotChange[],
    sink: ElementSink,
  ): void {
    const { affinity } = target;
    const set = affinity === undefined ? "endpoints" : (`slots_${policy}` as const);
    const list = affinity === undefined ? target.lists[policy].number << 12 : affinity.number << 16;
    for (const { slot, before, after } of changes) {
      if (before === after) continue;
      const key = words(list, slot);
      if (before !== undefined) sink.delete(set, key, dataOf(before, affinity));
      if (after !== undefined) sink.add(set, key, dataOf(after, affinity));
    }
  }

  /** Gives endpoints a number by which clients' memory names them. */
  #remember(target: Target, policy: Policy, backends: readonly Backend[], sink: ElementSink): void {
    const { affinity } = target;
    if (affinity === undefined) return;
    for (const backend of backends) {
      const text = placeText(backend);
      const handle = affinity.handles.get(text) ?? newHandle(affinity);
      affinity.handles.set(text, handle);
      sink.add(`picked_${policy}`, words(handle), endpointBytes(backend));
    }
  }

  #forget(target: Target, policy: Policy, backends: readonly Backend[], sink: ElementSink): void {
    const { affinity } = target;
    const other = target.lists[policy === "cluster" ? "local" : "cluster"].slots;
    for (const backend of backends) {
      if (backend.isLocal) this.#hairpins.add(backend.address, -1);
      if (affinity === undefined) continue;
      const text = placeText(backend);
      const handle = affinity.handles.get(text);
      if (handle === undefined) continue;
      sink.delete(`picked_${policy}`, words(handle), endpointBytes(backend));
      if (!other.has(backend)) affinity.handles.delete(text);
    }
  }
}

function refusedAfter(
  before: ReadonlyMap<string, Backend>,
  removed: readonly Backend[],
  added: readonly Backend[],
  good: readonly Backend[],
): ReadonlyMap<string, Backend> {
  const after = new Map(before);
  for (const backend of removed) after.delete(placeText(backend));
  const kept = new Set(good);
  for (const backend of added) {
    if (!kept.has(backend)) after.set(placeText(backend), backend);
  }
  return after;
}

const NONE_REFUSED: ReadonlyMap<string, Backend> = new Map();
const NOTHING: Pick<BackendSet, Policy> = { cluster: [], local: [] };

/** What a connection under a policy is told to do. */
export function carrierFor(target: Target, policy: Policy): number {
  if (!target.set.hasEndpoints) return OP.reject;
  const { number, slots } = target.lists[policy];
  if (slots.length === 0) return target.refused[policy].size > 0 ? OP.reject : OP.drop;
  const { affinity } = target;
  if (affinity === undefined) {
    const op = slots.isHashed ? OP.hashed : OP.list;
    return ((number << 12) | (op + slots.log2)) >>> 0;
  }
  return ((affinity.number << 16) | affinityOp(affinity.timeoutClass, policy, slots.log2)) >>> 0;
}

function dataOf(backend: Backend, affinity: Affinity | undefined): Uint8Array {
  const handle = affinity?.handles.get(placeText(backend));
  return handle === undefined ? endpointBytes(backend) : words(handle);
}

/** Those that clients' memory has a number for, or can be given one: the two policies' endpoints may be more together. */
function nameable(
  backends: readonly Backend[],
  affinity: Affinity | undefined,
): readonly Backend[] {
  if (affinity === undefined) return backends;
  let left = MAX_ENDPOINTS - affinity.handles.size;
  return backends.filter((each) => affinity.handles.has(placeText(each)) || left-- > 0);
}

function newHandle(affinity: Affinity): number {
  const used = new Set(affinity.next < MAX_ENDPOINTS ? [] : affinity.handles.values());
  for (;;) {
    const handle = (HANDLE | (affinity.number << 16) | (affinity.next++ & 0xffff)) >>> 0;
    if (!used.has(handle)) return handle;
  }
}

/** A node would deliver to itself, or nowhere, what is sent to these (CVE-2021-25737). */
function isForwardable(address: IpAddress): boolean {
  // Quick for the many: a cold start asks for each endpoint.
  if (/^(10|172|192)\./.test(address)) return true;
  return !(
    isLoopback(address) ||
    isUnspecified(address) ||
    isLinkLocalUnicast(address) ||
    isMulticast(address)
  );
}
