import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Informers } from "../client/informer.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { podView, serviceView, sliceView } from "../core/dns/views.ts";
import { TRIGGER_TIME_ANNOTATION } from "../core/endpoints/slice-metadata.ts";
import { FollowedKinds } from "./followed-kinds.ts";

/** Which objects count; default all Services with their endpoints. */
export interface FeedOptions {
  /** Only these namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  /** Selects Services and Pods. */
  readonly labels?: string | undefined;
  /** Selects namespaces: Services of others do not exist. */
  readonly namespaceLabels?: string | undefined;
  readonly usesPodNames?: boolean | undefined;
  readonly withoutEndpoints?: boolean | undefined;
  /** Whether Pods are watched, for names that are verified. */
  readonly withPods?: boolean | undefined;
  /** Hears how long a change of endpoints took from what caused it until it was in the answers. */
  readonly onProgrammed?: ((ms: number) => void) | undefined;
  readonly now?: (() => number) | undefined;
}

/** An index that follows the API. */
export interface IndexFeed extends Disposable {
  /** Undefined until everything was listed once (DNS-028). */
  readonly index: DnsIndex | undefined;
  /** Resolves when everything was listed once. */
  synced(signal: AbortSignal): Promise<void>;
}

/** CoreDNS leaves out the Pods that have ended, too. */
const LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown";

/**
 * Keeps an index equal to the API's Services, EndpointSlices and Namespaces. It is changed within the
 * informers' notification, so that the next question sees the change (DNS-031).
 */
export function feedIndex(informers: Pick<Informers, "of">, options: FeedOptions = {}): IndexFeed {
  const { namespaces, labels, namespaceLabels, onProgrammed, now = Date.now } = options;
  const index = new DnsIndex({ onlyKnownNamespaces: namespaceLabels !== undefined });
  const followed = new FollowedKinds(informers);
  for (const scope of followed.followNamespaces(index, namespaces, namespaceLabels)) {
    followed.follow(serviceKind, { ...scope, labelSelector: labels }, ({ key, after }) => {
      index.setService(key, after === undefined ? undefined : serviceView(after));
    });
    if (options.withoutEndpoints !== true) {
      followed.follow(endpointSliceKind, scope, ({ key, after }, { hasSynced }) => {
        const view =
          after === undefined
            ? undefined
            : sliceView(after, options.usesPodNames, index.endpointsIn(key));
        index.setSlice(key, view);
        const isHeadless = view !== undefined && index.service(view.service)?.kind === "headless";
        const causedMs = after === undefined || !hasSynced ? undefined : triggerTimeOf(after);
        if (isHeadless && causedMs !== undefined) onProgrammed?.(Math.max(0, now() - causedMs));
      });
    }
    if (options.withPods === true) {
      const podScope = { ...scope, labelSelector: labels, fieldSelector: LIVE_PODS };
      followed.follow(podKind, podScope, ({ key, after }) => {
        index.setPod(key, after === undefined ? undefined : podView(after));
      });
    }
  }
  return {
    get index() {
      return followed.hasSynced ? index : undefined;
    },
    synced: (signal) => followed.synced(signal),
    [Symbol.dispose]: () => {
      followed[Symbol.dispose]();
    },
  };
}

/** When the Pod or Service changed that the slice was written for (KEP-752's annotation). */
function triggerTimeOf({ metadata }: EndpointSlice): number | undefined {
  const text = metadata.annotations?.[TRIGGER_TIME_ANNOTATION];
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
