import type { Protocol, TrafficPolicy } from "../../api/v1/service.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import type { Port } from "../../net/host-port.ts";
import { compareFrontends, sameBackend } from "./frontend.ts";
import type { Backend, BackendSet, Frontend } from "./frontend.ts";
import { firstAtOrAfter } from "./place.ts";
import type { ProxyNode } from "./service-part.ts";
import { hashedBackend } from "./source-hash.ts";
import type { ForwardingTable } from "./table.ts";

/** The first packet of a connection or flow. */
export interface Packet {
  readonly protocol: Protocol;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly port: Port;
}

/** Who may take a packet, before one is chosen. */
export type Decision =
  | { readonly kind: "forward"; readonly backends: readonly Backend[] }
  /** Refused at once: TCP reset, ICMP port unreachable (PROXY-024). */
  | { readonly kind: "reject"; readonly reason: "NoEndpoints" }
  /** No answer at all: the client times out (ITP-002, NP-006, LBIP-005). */
  | { readonly kind: "drop"; readonly reason: "NoLocalEndpoints" | "SourceNotAllowed" };

export type Route =
  | {
      readonly kind: "forward";
      readonly frontend: Frontend;
      readonly backend: Backend;
      readonly reason: "Chosen" | "Affinity" | "SourceHash";
    }
  | { readonly kind: "reject"; readonly frontend: Frontend; readonly reason: "NoEndpoints" }
  /** The destination is a cluster IP, but no port of its Service (PROXY-026). */
  | { readonly kind: "reject"; readonly frontend: undefined; readonly reason: "NoSuchPort" }
  | {
      readonly kind: "drop";
      readonly frontend: Frontend;
      readonly reason: "NoLocalEndpoints" | "SourceNotAllowed";
    }
  | { readonly kind: "notOurs" };

/** What a choice depends on beside the table. */
export interface Choice {
  /** A whole number in [0, count), every one equally likely. */
  pick(count: number): number;
  /** The backend that affinity remembers for this client now; only asked where the Service has affinity. */
  remembered(target: BackendSet, client: IpAddress): Backend | undefined;
}

/** What happens to a packet on the table's node: the specification that every data plane is tested against. */
export function route(table: ForwardingTable, packet: Packet, choice: Choice): Route {
  const frontend = findFrontend(table, packet);
  if (frontend === undefined) {
    return isClusterIP(table, packet.destination)
      ? { kind: "reject", frontend: undefined, reason: "NoSuchPort" }
      : { kind: "notOurs" };
  }
  const decision = decide(frontend, packet.source, table.node);
  if (decision.kind !== "forward") return { ...decision, frontend };
  return {
    kind: "forward",
    frontend,
    ...chooseBackend(frontend, decision.backends, packet.source, choice),
  };
}

/** Who may take a connection from `source` to the frontend. */
export function decide(
  frontend: Frontend,
  source: IpAddress,
  node: Pick<ProxyNode, "internalRanges">,
): Decision {
  // Before all else, as the firewall's hook runs before address translation.
  if (frontend.sourceRanges?.some((range) => cidrContains(range, source)) === false) {
    return { kind: "drop", reason: "SourceNotAllowed" };
  }
  const { target } = frontend;
  if (!target.hasEndpoints) return { kind: "reject", reason: "NoEndpoints" };
  const backends = policyFor(frontend, source, node) === "Local" ? target.local : target.cluster;
  return backends.length === 0
    ? { kind: "drop", reason: "NoLocalEndpoints" }
    : { kind: "forward", backends };
}

/** Takes the remembered backend while it is still among `backends` (AFF-006), otherwise the one that the balance says. */
export function chooseBackend(
  frontend: Frontend,
  backends: readonly Backend[],
  client: IpAddress,
  choice: Choice,
): { readonly backend: Backend; readonly reason: "Chosen" | "Affinity" | "SourceHash" } {
  if (frontend.target.affinitySeconds !== undefined) {
    const remembered = choice.remembered(frontend.target, client);
    if (remembered !== undefined) {
      const backend = backends.find((each) => sameBackend(each, remembered));
      if (backend !== undefined) return { backend, reason: "Affinity" };
    }
  }
  if (frontend.target.balance === "source-hash") {
    const backend = hashedBackend(backends, client);
    if (backend !== undefined) return { backend, reason: "SourceHash" };
  }
  const index = choice.pick(backends.length);
  const backend = backends[index];
  if (backend === undefined) {
    throw new Error(`picked backend ${String(index)} of ${String(backends.length)}`);
  }
  return { backend, reason: "Chosen" };
}

function policyFor(
  frontend: Frontend,
  source: IpAddress,
  node: Pick<ProxyNode, "internalRanges">,
): TrafficPolicy {
  if (frontend.internalPolicy === frontend.externalPolicy) return frontend.internalPolicy;
  const isInternal = node.internalRanges.some((range) => cidrContains(range, source));
  return isInternal ? frontend.internalPolicy : frontend.externalPolicy;
}

function findFrontend(table: ForwardingTable, packet: Packet): Frontend | undefined {
  const wanted = { protocol: packet.protocol, address: packet.destination, port: packet.port };
  const found =
    table.frontends[firstAtOrAfter(table.frontends, (each) => compareFrontends(each, wanted))];
  return found !== undefined && compareFrontends(found, wanted) === 0 ? found : undefined;
}

function isClusterIP(table: ForwardingTable, address: IpAddress): boolean {
  return table.frontends.some(
    (frontend) => frontend.address === address && frontend.kind === "clusterIP",
  );
}
