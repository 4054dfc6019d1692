import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Informers } from "../client/informer.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { serviceView, sliceView } from "../core/dns/views.ts";

/** An index that follows the API. */
export interface IndexFeed extends Disposable {
  /** Undefined until everything was listed once (DNS-028). */
  readonly index: DnsIndex | undefined;
}

/**
 * Keeps an index equal to the API's Services, EndpointSlices and Namespaces. It is changed within the
 * informers' notification, so that the next question sees the change (DNS-031).
 */
export function feedIndex(informers: Pick<Informers, "of">): IndexFeed {
  const index = new DnsIndex();
  const services = informers.of(serviceKind);
  const slices = informers.of(endpointSliceKind);
  const namespaces = informers.of(namespaceKind);
  const subscriptions = [
    namespaces.onChange(({ key, after }) => {
      index.setNamespace(key, after !== undefined);
    }),
    services.onChange(({ key, after }) => {
      index.setService(key, after === undefined ? undefined : serviceView(after));
    }),
    slices.onChange(({ key, after }) => {
      index.setSlice(key, after === undefined ? undefined : sliceView(after));
    }),
  ];
  return {
    get index() {
      return services.hasSynced && slices.hasSynced && namespaces.hasSynced ? index : undefined;
    },
    [Symbol.dispose]: () => {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
  };
}
