import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Service } from "../../api/v1/service.ts";
import { IP_FAMILIES } from "../../net/address.ts";
import type { IpFamily } from "../../net/address.ts";
import { proxiedServiceOf } from "./endpoint-view.ts";
import { PortEndpoints } from "./port-endpoints.ts";
import { partOfView, servicePart } from "./service-part.ts";
import type { ProxyNode, ServicePart } from "./service-part.ts";
import { serviceView } from "./service-view.ts";
import type { ServicePortView } from "./service-view.ts";

/** Endpoints of a Service from which on keeping what is known of them costs less than working it out anew. */
const LARGE = 200;

interface Large {
  readonly node: ProxyNode;
  /** Names, protocols and families of its ports: with others all is read anew. */
  readonly shape: string;
  readonly slices: Map<string, EndpointSlice>;
  readonly ports: ReadonlyMap<string, PortEndpoints>;
}

/**
 * The parts of Services, asked for again and again: the same as {@link servicePart}, but one endpoint more or less of
 * a large Service costs as much as its slice is large.
 */
export class ServiceParts {
  readonly #large = new Map<ObjectKey, Large>();
  readonly #minEndpoints: number;

  constructor(minEndpoints = LARGE) {
    this.#minEndpoints = minEndpoints;
  }

  part(
    key: ObjectKey,
    service: Service | undefined,
    slices: readonly EndpointSlice[],
    node: ProxyNode,
  ): ServicePart {
    if (service === undefined) {
      this.#large.delete(key);
      return { service: key, frontends: [], healthCheck: undefined };
    }
    const view = sizeOf(slices) < this.#minEndpoints ? undefined : serviceView(service);
    if (view === undefined) {
      this.#large.delete(key);
      return servicePart(service, slices, node);
    }
    const known = this.#large.get(key);
    const shape = view.ports.map(({ name, protocol }) => `${protocol} ${name}`).join("\n");
    const large =
      known?.node === node && known.shape === shape
        ? known
        : largeOf(shape, view.ports, ownSlices(slices), node);
    this.#large.set(key, large);
    if (large === known) update(large, ownSlices(slices));
    return partOfView(view, node, (port, family) => {
      const backends = large.ports.get(portKey(port, family));
      if (backends === undefined) throw new Error(`no port ${portKey(port, family)} of ${key}`);
      return backends;
    });
  }
}

function sizeOf(slices: readonly EndpointSlice[]): number {
  return slices.reduce((sum, slice) => sum + (slice.endpoints ?? []).length, 0);
}

function ownSlices(slices: readonly EndpointSlice[]): Map<string, EndpointSlice> {
  const own = slices.filter((slice) => proxiedServiceOf(slice) !== undefined);
  return new Map(own.map((slice) => [slice.metadata.name ?? "", slice]));
}

function largeOf(
  shape: string,
  views: readonly ServicePortView[],
  slices: Map<string, EndpointSlice>,
  node: ProxyNode,
): Large {
  const ports = new Map<string, PortEndpoints>();
  for (const family of IP_FAMILIES) {
    for (const port of views) {
      ports.set(portKey(port, family), new PortEndpoints(port, family, slices.values(), node));
    }
  }
  return { node, shape, slices, ports };
}

function update(large: Large, now: ReadonlyMap<string, EndpointSlice>): void {
  const changed: (readonly [string, EndpointSlice | undefined])[] = [];
  for (const name of large.slices.keys()) if (!now.has(name)) changed.push([name, undefined]);
  for (const [name, slice] of now) {
    if (slice !== large.slices.get(name)) changed.push([name, slice]);
  }
  for (const [name, slice] of changed) {
    if (slice === undefined) large.slices.delete(name);
    else large.slices.set(name, slice);
  }
  if (changed.length > 0) for (const port of large.ports.values()) port.change(changed);
}

function portKey(port: Pick<ServicePortView, "name" | "protocol">, family: IpFamily): string {
  return `${family} ${port.protocol} ${port.name}`;
}
