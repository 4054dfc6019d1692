import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import { hasReason } from "../api/machinery/status.ts";
import { serviceImportKind } from "../api/multicluster/serviceimport.kind.ts";
import { withDeadline } from "../async/deadline.ts";
import type { Informers } from "../client/informer.ts";
import { importedSliceView, serviceImportView } from "../core/dns/clusterset-views.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { formatDomainName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import type { Logger } from "../telemetry/log.ts";
import { FollowedKinds } from "./followed-kinds.ts";
import type { FeedOptions } from "./index-feed.ts";

/** An index of the names of a set of clusters. Disposing ends it; the informers are the caller's. */
export interface ClustersetFeed extends AsyncDisposable {
  /** Undefined until all was listed once, and as long as the API gives out no ServiceImports. */
  readonly index: DnsIndex | undefined;
  /** Whether all was listed once, or the API has said that it gives out no ServiceImports. */
  readonly isSettled: boolean;
  /** Resolves when `isSettled`. */
  settled(signal: AbortSignal): Promise<void>;
}

/** How often somebody who waits looks whether the API has said no; the informer tries by itself. */
const LOOK_MS = 100;

/**
 * Keeps an index equal to the API's ServiceImports and the EndpointSlices that were imported with them
 * (KEP-1645). The kind may be missing, for it comes with a CustomResourceDefinition: this is said once, and
 * followed as soon as it is there, which the informer looks for after half a minute at the latest.
 */
export function feedClusterset(
  informers: Pick<Informers, "of">,
  log: Logger,
  zones: readonly DomainName[],
  options: FeedOptions,
): ClustersetFeed {
  const { namespaces, labels, namespaceLabels } = options;
  const index = new DnsIndex({ onlyKnownNamespaces: namespaceLabels !== undefined });
  const ended = new AbortController();
  // The same informers as the cluster's own names have: they are shared by kind and scope.
  const followed = new FollowedKinds(informers);
  for (const scope of followed.followNamespaces(index, namespaces, namespaceLabels)) {
    followed.follow(serviceImportKind, { ...scope, labelSelector: labels }, ({ key, after }) => {
      index.setService(key, after === undefined ? undefined : serviceImportView(after));
    });
    if (options.withoutEndpoints !== true) {
      followed.follow(endpointSliceKind, scope, ({ key, after }) => {
        index.setSlice(key, after && importedSliceView(after, options.usesPodNames));
      });
    }
  }

  /** What the API has said no to: to a kind that it does not have, or that this account may not see. */
  const refusal = (): Error | undefined =>
    followed.informers.find(
      ({ hasSynced, lastError }) => !hasSynced && hasReason(lastError, "NotFound", "Forbidden"),
    )?.lastError;
  const isSettled = (): boolean => followed.hasSynced || refusal() !== undefined;
  const settled = async (signal: AbortSignal): Promise<void> => {
    while (!isSettled()) await syncedWithin(followed, LOOK_MS, signal);
  };
  const report = async (): Promise<void> => {
    const { signal } = ended;
    await settled(signal);
    const error = refusal();
    if (error === undefined) return;
    const zone = zones.map(formatDomainName).join(" ");
    const kind = `${serviceImportKind.kind} of ${apiVersionOf(serviceImportKind)}`;
    const remedy = hasReason(error, "Forbidden")
      ? `allow this account to list and watch ${kind}`
      : `apply the CustomResourceDefinition of ${kind}`;
    log.warn("dns multicluster zone gets SERVFAIL until the API has it", { zone, remedy, error });
    await followed.synced(signal);
    log.info("dns multicluster zone served", { zone });
  };
  // It waits for nothing but the informers and the signal, and only that makes it reject.
  const reporting = report().catch(() => undefined);

  return {
    get index() {
      return followed.hasSynced ? index : undefined;
    },
    get isSettled() {
      return isSettled();
    },
    settled,
    [Symbol.asyncDispose]: async () => {
      followed[Symbol.dispose]();
      ended.abort(new Error("the names of the clusterset are not served any more"));
      await reporting;
    },
  };
}

/** Waits for them for so long at most. @throws the signal's reason. */
async function syncedWithin(
  followed: FollowedKinds,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await withDeadline(ms, signal, (bounded) => followed.synced(bounded));
  } catch (error) {
    // Not yet: whoever waits looks again.
    if (signal.aborted) throw error;
  }
}
