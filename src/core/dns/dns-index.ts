import { refOf } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { IpAddress } from "../../net/address.ts";
import { EndpointSet } from "./endpoint-set.ts";
import type { Member } from "./endpoint-set.ts";
import { allOf, isSameService } from "./views.ts";
import type { EndpointView, PodView, PortView, ServiceView, SliceView } from "./views.ts";

/** What a change may have changed the answers of. The zone's SOA has changed with each of them. */
export type Dirty =
  /** Names at and below a Service, and of Services that point to it. */
  | { readonly kind: "service"; readonly key: ObjectKey }
  /** Whether the names `<namespace>.svc` and `<namespace>.pod` are there, and what is below the latter. */
  | { readonly kind: "namespace"; readonly name: string }
  /** The reverse name of an address, and Pods' names made of it. */
  | { readonly kind: "address"; readonly address: IpAddress };

export interface IndexOptions {
  /** Only Services whose namespace is known count: namespaces are then chosen by their labels. */
  readonly onlyKnownNamespaces?: boolean | undefined;
}

/** Whoever keeps what was made from an index. */
export interface IndexObserver {
  /** Hears of each change when it is in. What was made from the index before may be out of date then. */
  onDirty(dirty: Dirty): void;
  /**
   * Hears what an answer is made from while it is made: as long as `onDirty` says none of it, the same
   * question has the same answer, but for the order of addresses and the zone's serial number.
   */
  onRead(read: Dirty): void;
}

interface Slice {
  readonly service: ObjectKey;
  readonly ports: readonly PortView[];
  readonly members: readonly Member[];
}

/**
 * What the cluster's names are made from, kept up to date one object at a time: a change costs work in
 * proportion to the slice or Service that changed, whatever else there is, and leaves none for the next
 * question. Answers come straight from here (DNS-031), so a change is in the next one.
 *
 * Invariant: `#sets` and `#byAddress` say of the slices exactly what `#slices` says, and `#byClusterIp` of
 * the Services what `#services` says.
 */
export class DnsIndex {
  readonly #namespaces = new Set<string>();
  readonly #services = new Map<ObjectKey, ServiceView>();
  readonly #slices = new Map<ObjectKey, Slice>();
  readonly #sets = new Map<ObjectKey, EndpointSet>();
  readonly #byClusterIp = new Map<IpAddress, readonly ServiceView[]>();
  readonly #byAddress = new Map<IpAddress, readonly Member[]>();
  readonly #pods = new Map<ObjectKey, PodView>();
  readonly #podsAt = new Map<string, readonly PodView[]>();
  readonly #options: IndexOptions;
  readonly #observers = new Set<IndexObserver>();
  #changes = 0;

  constructor(options: IndexOptions = {}) {
    this.#options = options;
  }

  /**
   * The index's generation: how many changes of what it answers were taken in, a step of the zone's serial
   * number each. As long as it is the same, so is every answer, but for the order of addresses.
   */
  get changes(): number {
    return this.#changes;
  }

  /** @returns what ends it. */
  observe(observer: IndexObserver): () => void {
    this.#observers.add(observer);
    return () => {
      this.#observers.delete(observer);
    };
  }

  setNamespace(name: string, exists: boolean): void {
    if (exists === this.#namespaces.has(name)) return;
    if (exists) this.#namespaces.add(name);
    else this.#namespaces.delete(name);
    this.#changed({ kind: "namespace", name });
  }

  /** `view` undefined: the Service is gone. */
  setService(key: ObjectKey, view: ServiceView | undefined): void {
    const before = this.#services.get(key);
    if (before === undefined ? view === undefined : view && isSameService(before, view)) return;
    if (before !== undefined) {
      for (const address of allOf(before.clusterIps)) drop(this.#byClusterIp, address, before);
    }
    if (view === undefined) {
      this.#services.delete(key);
    } else {
      this.#services.set(key, view);
      for (const address of allOf(view.clusterIps)) add(this.#byClusterIp, address, view);
    }
    this.#changed({ kind: "service", key });
    for (const side of [before, view]) {
      for (const address of side === undefined ? [] : allOf(side.clusterIps)) {
        this.#dirty({ kind: "address", address });
      }
    }
  }

  /** `key` is the slice's; `view` undefined: the slice is gone, or belongs to no Service. */
  setSlice(key: ObjectKey, view: SliceView | undefined): void {
    const before = this.#slices.get(key);
    if (before !== undefined && before.service !== view?.service) {
      this.#merge(key, before, { service: before.service, ports: [], endpoints: [] });
      this.#slices.delete(key);
    }
    if (view === undefined) return;
    this.#merge(key, before?.service === view.service ? before : undefined, view);
  }

  /** `view` undefined: the Pod is gone, or has ended. */
  setPod(key: ObjectKey, view: PodView | undefined): void {
    const before = this.#pods.get(key);
    if (before?.addresses.join() === view?.addresses.join()) return;
    if (before === undefined) {
      if (view !== undefined) this.#pods.set(key, view);
    } else {
      for (const address of before.addresses) {
        drop(this.#podsAt, podKey(before.namespace, address), before);
      }
      this.#pods.delete(key);
    }
    if (view !== undefined) {
      this.#pods.set(key, view);
      for (const address of view.addresses)
        add(this.#podsAt, podKey(view.namespace, address), view);
    }
    this.#changes += 1;
    for (const address of [...(before?.addresses ?? []), ...(view?.addresses ?? [])]) {
      this.#dirty({ kind: "address", address });
    }
  }

  /** The endpoints of a slice as they are known, for reading the next version of it. */
  endpointsIn(slice: ObjectKey): readonly EndpointView[] {
    return this.#slices.get(slice)?.members ?? [];
  }

  hasNamespace(name: string): boolean {
    this.#read({ kind: "namespace", name });
    return this.#namespaces.has(name);
  }

  hasPod(namespace: string, address: IpAddress): boolean {
    this.#read({ kind: "address", address });
    return this.#podsAt.has(podKey(namespace, address));
  }

  service(key: ObjectKey): ServiceView | undefined {
    this.#read({ kind: "service", key });
    return this.#isExposed(key) ? this.#services.get(key) : undefined;
  }

  /** Every Service that is answered for, in no order. */
  *services(): Iterable<ServiceView> {
    for (const view of this.#services.values()) if (this.#isExposed(view.key)) yield view;
  }

  namespaces(): Iterable<string> {
    return this.#namespaces;
  }

  /** The ready endpoints of a Service; none when it has no slices. */
  endpoints(service: ObjectKey): EndpointSet {
    this.#read({ kind: "service", key: service });
    return this.#sets.get(service) ?? NO_ENDPOINTS;
  }

  /** The Service that has this cluster IP. */
  serviceAt(clusterIp: IpAddress): ServiceView | undefined {
    this.#read({ kind: "address", address: clusterIp });
    return this.#byClusterIp.get(clusterIp)?.find(({ key }) => this.#isExposed(key));
  }

  /** Services with this address among their ready endpoints, and the endpoint's label in each. */
  endpointsAt(
    address: IpAddress,
  ): readonly { readonly service: ObjectKey; readonly name: string }[] {
    this.#read({ kind: "address", address });
    const found = new Map<ObjectKey, { service: ObjectKey; name: string }>();
    for (const { service, name } of this.#byAddress.get(address) ?? []) {
      // One name a Service is enough, although two slices may hold the address for a moment (DNS-010).
      if (this.service(service) !== undefined && !found.has(service)) {
        found.set(service, { service, name });
      }
    }
    return [...found.values()];
  }

  #isExposed(service: ObjectKey): boolean {
    if (this.#options.onlyKnownNamespaces !== true) return true;
    const name = refOf(service).namespace ?? "";
    this.#read({ kind: "namespace", name });
    return this.#namespaces.has(name);
  }

  /** Makes the slice's part of its Service's endpoints equal to `view`, at the cost of what differs. */
  #merge(key: ObjectKey, before: Slice | undefined, view: SliceView): void {
    const { service } = view;
    const set = this.#sets.get(service) ?? new EndpointSet();
    this.#sets.set(service, set);
    const ports = view.endpoints.length === 0 ? NO_PORTS : set.holdPorts(view.ports);
    const dirty: IpAddress[] = [];
    const removed = (member: Member): void => {
      set.remove(member);
      drop(this.#byAddress, member.address, member);
      dirty.push(member.address);
    };
    const old = before?.members ?? [];
    const { endpoints } = view;
    const isKept = (member: Member | undefined, endpoint: EndpointView | undefined): boolean =>
      member?.ports === ports &&
      (member === endpoint ||
        (member.address === endpoint?.address && member.name === endpoint.name));
    // Nearly always one endpoint comes or goes among many that stay: only what is between these is compared by address.
    let head = 0;
    while (head < old.length && head < endpoints.length && isKept(old[head], endpoints[head])) {
      head += 1;
    }
    let tail = 0;
    const most = Math.min(old.length, endpoints.length) - head;
    while (tail < most && isKept(old.at(-1 - tail), endpoints.at(-1 - tail))) tail += 1;
    const left = new Map<string, Member>();
    for (const member of old.slice(head, old.length - tail)) {
      // A slice that lists an address twice keeps one of the two members to compare with.
      const twin = left.get(member.address);
      if (twin !== undefined) removed(twin);
      left.set(member.address, member);
    }
    const between = endpoints.slice(head, endpoints.length - tail).map(({ name, address }) => {
      const kept = left.get(address);
      if (kept?.name === name && kept.ports === ports) {
        left.delete(address);
        return kept;
      }
      const member = { service, name, address, ports };
      set.add(member);
      add(this.#byAddress, address, member);
      dirty.push(address);
      return member;
    });
    const members = old.toSpliced(head, old.length - tail - head, ...between);
    for (const member of left.values()) removed(member);
    if (before !== undefined && before.members.length > 0) set.releasePorts(before.ports);
    this.#slices.set(key, { service, ports, members });
    if (set.size === 0) this.#sets.delete(service);
    if (dirty.length === 0) return;
    this.#changed({ kind: "service", key: service });
    for (const address of dirty) this.#dirty({ kind: "address", address });
  }

  #changed(dirty: Dirty): void {
    this.#changes += 1;
    this.#dirty(dirty);
  }

  #dirty(dirty: Dirty): void {
    for (const observer of this.#observers) observer.onDirty(dirty);
  }

  #read(read: Dirty): void {
    for (const observer of this.#observers) observer.onRead(read);
  }
}

const NO_ENDPOINTS = new EndpointSet();
const NO_PORTS: readonly PortView[] = [];

function podKey(namespace: string, address: IpAddress): string {
  return `${namespace}/${address}`;
}

function add<K, V>(map: Map<K, readonly V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else if (!values.includes(value)) map.set(key, [...values, value]);
}

function drop<K, V>(map: Map<K, readonly V[]>, key: K, value: V): void {
  const rest = (map.get(key) ?? []).filter((other) => other !== value);
  if (rest.length === 0) map.delete(key);
  else map.set(key, rest);
}
