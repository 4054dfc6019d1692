import type { Service } from "../api/v1/service.ts";
import type { Pod } from "../api/v1/pod.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { Change, Informer } from "../client/informer.ts";
import { isSameForEndpoints } from "../core/endpoints/pod-address.ts";
import { podHandles, selectorHandle, selectsPod } from "../core/endpoints/selection.ts";

const BY_HANDLE = "selector-handle";
const BY_NODE = "node-name";

/** Which Pods are a Service's and which Services a Pod's, at the cost of those alone. */
export class ServicePods {
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;

  constructor(services: Informer<Service>, pods: Informer<Pod>) {
    this.#services = services;
    this.#pods = pods;
    services.addIndex(BY_HANDLE, (service) => {
      const handle = selectorHandle(service);
      return handle === undefined ? [] : [handle];
    });
    pods.addIndex(BY_HANDLE, podHandles);
    pods.addIndex(BY_NODE, ({ spec }) => [spec.nodeName ?? ""]);
  }

  podsOf(service: Service): readonly Pod[] {
    const handle = selectorHandle(service);
    if (handle === undefined) return [];
    return this.#pods.byIndex(BY_HANDLE, handle).filter((pod) => selectsPod(service, pod));
  }

  servicesOf(pod: Pod): readonly ObjectKey[] {
    return podHandles(pod)
      .flatMap((handle) => this.#services.byIndex(BY_HANDLE, handle))
      .filter((service) => selectsPod(service, pod))
      .map(keyOf);
  }

  /** The Services whose endpoints a change of a Pod may change (EPS-036, EPS-037). */
  servicesChangedBy({ before, after }: Change<Pod>): ReadonlySet<ObjectKey> {
    if (before !== undefined && after !== undefined && isSameForEndpoints(before, after)) {
      return new Set();
    }
    return new Set(
      [before, after].flatMap((pod) => (pod === undefined ? [] : this.servicesOf(pod))),
    );
  }

  /** The Services that have Pods on a node. */
  servicesOnNode(name: string): ReadonlySet<ObjectKey> {
    return new Set(this.#pods.byIndex(BY_NODE, name).flatMap((pod) => this.servicesOf(pod)));
  }
}
