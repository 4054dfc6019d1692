import type { Backend } from "./frontend.ts";
import { isUsableWhileEnding } from "./endpoint-view.ts";
import type { EndpointView } from "./endpoint-view.ts";

export interface Location {
  readonly name: string;
  /** Label `topology.kubernetes.io/zone` of the node. */
  readonly zone: string | undefined;
}

/** Which endpoints take traffic under policy Cluster, and which under Local. */
export interface Choice {
  readonly cluster: "hintedNode" | "hintedZone" | "ready" | "ending";
  readonly local: "ready" | "ending";
}

/** Counts of endpoints on which the choice depends: one endpoint more or less is one step. */
export class EndpointTally {
  readonly #here: Location;
  #ready = 0;
  #withNodeHints = 0;
  #namingNode = 0;
  #withZoneHints = 0;
  #namingZone = 0;
  #ending = 0;
  #localReady = 0;

  constructor(here: Location) {
    this.#here = here;
  }

  count(endpoint: EndpointView, by: 1 | -1): void {
    if (isUsableWhileEnding(endpoint)) this.#ending += by;
    if (!endpoint.isReady) return;
    this.#ready += by;
    if (endpoint.isLocal) this.#localReady += by;
    if (endpoint.nodeHints.length > 0) this.#withNodeHints += by;
    if (endpoint.nodeHints.includes(this.#here.name)) this.#namingNode += by;
    if (endpoint.zoneHints.length > 0) this.#withZoneHints += by;
    if (namesZone(endpoint, this.#here)) this.#namingZone += by;
  }

  /** PROXY-048. */
  get hasUsable(): boolean {
    return this.#ready + this.#ending > 0;
  }

  /**
   * Hints are followed all or nothing (TOPO-022): by node when every ready endpoint has a node hint and one names
   * this node (TOPO-020), else by zone likewise (TOPO-021), else not at all (TOPO-023). When none is ready, those
   * that still serve while they end take traffic (PROXY-043..045).
   */
  get choice(): Choice {
    return {
      cluster:
        this.#ready === 0
          ? "ending"
          : this.#withNodeHints === this.#ready && this.#namingNode > 0
            ? "hintedNode"
            : this.#withZoneHints === this.#ready && this.#namingZone > 0
              ? "hintedZone"
              : "ready",
      local: this.#localReady > 0 ? "ready" : "ending",
    };
  }
}

/** Takes traffic under policy Cluster (PROXY-040, 041). */
export function takesCluster(endpoint: EndpointView, choice: Choice, here: Location): boolean {
  switch (choice.cluster) {
    case "hintedNode":
      return endpoint.isReady && endpoint.nodeHints.includes(here.name);
    case "hintedZone":
      return endpoint.isReady && namesZone(endpoint, here);
    case "ready":
      return endpoint.isReady;
    case "ending":
      return isUsableWhileEnding(endpoint);
  }
}

/** Takes traffic under policy Local: this node's, without hints (PROXY-042, 047). */
export function takesLocal(endpoint: EndpointView, choice: Choice): boolean {
  if (!endpoint.isLocal) return false;
  return choice.local === "ready" ? endpoint.isReady : isUsableWhileEnding(endpoint);
}

/** Endpoints of a Service port in one family, and who of them takes traffic. Lists are sorted. */
export interface PortBackends {
  cluster(): readonly Backend[];
  local(): readonly Backend[];
  readonly hasUsable: boolean;
  /** Addresses of ready endpoints on this node that do not terminate. */
  localReady(): Iterable<string>;
}

/** Works it out at once from all endpoints, sorted and each address and port once. */
export function portBackends(endpoints: readonly EndpointView[], here: Location): PortBackends {
  const tally = new EndpointTally(here);
  for (const endpoint of endpoints) tally.count(endpoint, 1);
  const { choice, hasUsable } = tally;
  const backends = (takes: (endpoint: EndpointView) => boolean): readonly Backend[] =>
    endpoints.filter(takes).map((endpoint) => endpoint.backend);
  return {
    cluster: () => backends((endpoint) => takesCluster(endpoint, choice, here)),
    local: () => backends((endpoint) => takesLocal(endpoint, choice)),
    hasUsable,
    localReady: () => endpoints.filter(isLocalReady).map((endpoint) => endpoint.address),
  };
}

export function isLocalReady(endpoint: EndpointView): boolean {
  return endpoint.isLocal && endpoint.isReady && !endpoint.isTerminating;
}

function namesZone(endpoint: EndpointView, here: Location): boolean {
  const zone = here.zone ?? "";
  return zone !== "" && endpoint.zoneHints.includes(zone);
}
