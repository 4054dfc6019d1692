import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { IpAddress } from "../../net/address.ts";
import { allOf, endpointsView } from "./views.ts";
import type { EndpointsView, ServiceView, SliceView } from "./views.ts";

/**
 * What the cluster's names are made from, kept up to date one object at a time: a change costs work in
 * proportion to the slice or Service that changed, whatever else there is. Answers come straight from here
 * (DNS-031), so a change is in the next one.
 *
 * Invariant: `#slicesOf` and `#byAddress` say of the slices exactly what `#slices` says, and `#byClusterIp`
 * of the Services what `#services` says; `#endpoints` has only what the slices give.
 */
export class DnsIndex {
  readonly #namespaces = new Set<string>();
  readonly #services = new Map<ObjectKey, ServiceView>();
  readonly #slices = new Map<ObjectKey, SliceView>();
  readonly #slicesOf = new Map<ObjectKey, Map<ObjectKey, SliceView>>();
  /** Made at the first question for a Service and dropped at its next change: bursts cost nothing. */
  readonly #endpoints = new Map<ObjectKey, EndpointsView>();
  readonly #byClusterIp = new Map<IpAddress, readonly ServiceView[]>();
  readonly #byAddress = new Map<IpAddress, readonly SliceView[]>();
  #changes = 0;

  /** How many changes were taken in: a step of the zone's serial number each. */
  get changes(): number {
    return this.#changes;
  }

  setNamespace(name: string, exists: boolean): void {
    if (exists) this.#namespaces.add(name);
    else this.#namespaces.delete(name);
    this.#changes += 1;
  }

  /** `view` undefined: the Service is gone. */
  setService(key: ObjectKey, view: ServiceView | undefined): void {
    const before = this.#services.get(key);
    if (before !== undefined) {
      for (const address of allOf(before.clusterIps)) drop(this.#byClusterIp, address, before);
    }
    if (view === undefined) {
      this.#services.delete(key);
    } else {
      this.#services.set(key, view);
      for (const address of allOf(view.clusterIps)) add(this.#byClusterIp, address, view);
    }
    this.#changes += 1;
  }

  /** `key` is the slice's; `view` undefined: the slice is gone, or belongs to no Service. */
  setSlice(key: ObjectKey, view: SliceView | undefined): void {
    const before = this.#slices.get(key);
    if (before !== undefined) this.#removeSlice(key, before);
    if (view !== undefined) {
      this.#slices.set(key, view);
      const siblings = this.#slicesOf.get(view.service) ?? new Map<ObjectKey, SliceView>();
      this.#slicesOf.set(view.service, siblings.set(key, view));
      this.#endpoints.delete(view.service);
      for (const { address } of view.endpoints) add(this.#byAddress, address, view);
    }
    this.#changes += 1;
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  service(key: ObjectKey): ServiceView | undefined {
    return this.#services.get(key);
  }

  /** The ready endpoints of a Service; none when it has no slices. */
  endpoints(service: ObjectKey): EndpointsView {
    const known = this.#endpoints.get(service);
    if (known !== undefined) return known;
    const slices = this.#slicesOf.get(service);
    if (slices === undefined) return NO_ENDPOINTS;
    const view = endpointsView(slices.values());
    this.#endpoints.set(service, view);
    return view;
  }

  /** The Service that has this cluster IP. */
  serviceAt(clusterIp: IpAddress): ServiceView | undefined {
    return this.#byClusterIp.get(clusterIp)?.[0];
  }

  /** Services with this address among their ready endpoints, and the endpoint's label in each. */
  endpointsAt(
    address: IpAddress,
  ): readonly { readonly service: ObjectKey; readonly name: string }[] {
    const found = new Map<ObjectKey, { service: ObjectKey; name: string }>();
    for (const { service, endpoints } of this.#byAddress.get(address) ?? []) {
      if (!this.#services.has(service)) continue;
      const name = endpoints.find((endpoint) => endpoint.address === address)?.name;
      // One name a Service is enough, although two slices may hold the address for a moment (DNS-010).
      if (name !== undefined && !found.has(service)) found.set(service, { service, name });
    }
    return [...found.values()];
  }

  #removeSlice(key: ObjectKey, slice: SliceView): void {
    this.#slices.delete(key);
    this.#endpoints.delete(slice.service);
    const siblings = this.#slicesOf.get(slice.service);
    siblings?.delete(key);
    if (siblings?.size === 0) this.#slicesOf.delete(slice.service);
    for (const { address } of slice.endpoints) drop(this.#byAddress, address, slice);
  }
}

const NO_ENDPOINTS: EndpointsView = endpointsView([]);

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
