import type { Backend } from "./frontend.ts";
import { isUsableWhileEnding } from "./endpoint-view.ts";
import type { EndpointView } from "./endpoint-view.ts";

export interface Location {
  readonly name: string;
  /** Label `topology.kubernetes.io/zone` of the node. */
  readonly zone: string | undefined;
}

/**
 * Who takes traffic under policy Cluster: the ready endpoints that topology hints leave, and when none is
 * ready anywhere, those that still serve while they end, hints or not (PROXY-040, 041, 043..045).
 */
export function clusterBackends(
  endpoints: readonly EndpointView[],
  here: Location,
): readonly Backend[] {
  const ready = endpoints.filter((endpoint) => endpoint.isReady);
  if (ready.length > 0) return closest(ready, here).map(backendOf);
  return endpoints.filter(isUsableWhileEnding).map(backendOf);
}

/** Who takes traffic under policy Local: the same among this node's endpoints, without hints (PROXY-042, 047). */
export function localBackends(endpoints: readonly EndpointView[]): readonly Backend[] {
  const local = endpoints.filter((endpoint) => endpoint.isLocal);
  const ready = local.filter((endpoint) => endpoint.isReady);
  return (ready.length > 0 ? ready : local.filter(isUsableWhileEnding)).map(backendOf);
}

/** PROXY-048. */
export function hasUsableEndpoint(endpoints: readonly EndpointView[]): boolean {
  return endpoints.some((endpoint) => endpoint.isReady || isUsableWhileEnding(endpoint));
}

/**
 * Hints are followed all or nothing (TOPO-022): by node when every endpoint has a node hint and one names
 * this node (TOPO-020), else by zone likewise (TOPO-021), else not at all (TOPO-023).
 */
function closest(ready: readonly EndpointView[], here: Location): readonly EndpointView[] {
  if (ready.every((endpoint) => endpoint.nodeHints.length > 0)) {
    const named = ready.filter((endpoint) => endpoint.nodeHints.includes(here.name));
    if (named.length > 0) return named;
  }
  const zone = here.zone ?? "";
  if (zone !== "" && ready.every((endpoint) => endpoint.zoneHints.length > 0)) {
    const named = ready.filter((endpoint) => endpoint.zoneHints.includes(zone));
    if (named.length > 0) return named;
  }
  return ready;
}

function backendOf(endpoint: EndpointView): Backend {
  return endpoint.backend;
}
