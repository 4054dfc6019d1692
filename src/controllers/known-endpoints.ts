import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import { podEndpointOf } from "../core/endpoints/pod-endpoint.ts";
import type { PodEndpoint } from "../core/endpoints/pod-endpoint.ts";
import type { IpFamily } from "../net/address.ts";

interface Known {
  readonly service: Service;
  readonly family: IpFamily;
  readonly zone: string | undefined;
  readonly found: PodEndpoint | undefined;
}

/**
 * Remembers what each Pod is for a large Service, so that a look at it after one Pod's change works out that Pod
 * and compares the others. Holds one result a Pod, for as long as the informer holds the Pod: of several Services
 * or families that share it the last one.
 */
export class KnownEndpoints {
  readonly #known = new WeakMap<Pod, Known>();

  readonly of = (
    service: Service,
    pod: Pod,
    family: IpFamily,
    zone: string | undefined,
  ): PodEndpoint | undefined => {
    const known = this.#known.get(pod);
    // An informer replaces what changes, so the same object is the same Service.
    if (known?.service === service && known.family === family && known.zone === zone) {
      return known.found;
    }
    const found = podEndpointOf(service, pod, family, zone);
    this.#known.set(pod, { service, family, zone, found });
    return found;
  };
}
