import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Protocol, TrafficPolicy } from "../../api/v1/service.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { formatHostPort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import { stepBetween } from "./list-step.ts";

/**
 * What makes an address and port a frontend. In order of precedence when two claim the same one (PROXY-014):
 * what the system allocates comes before what any user may write into `spec.externalIPs`, so that no
 * Service takes over another's address (CVE-2020-8554).
 */
const FRONTEND_KINDS = ["clusterIP", "nodePort", "loadBalancer", "externalIP"] as const;
export type FrontendKind = (typeof FRONTEND_KINDS)[number];

/** An endpoint's address and port that takes new connections. */
export interface Backend {
  readonly address: IpAddress;
  readonly port: Port;
  /** The endpoint is on the node that this table is for (PROXY-010). */
  readonly isLocal: boolean;
}

/** How a Service's connections are spread, by its annotation `portolan.dev/balance`; the first is the default. */
export const BALANCES = ["random", "source-hash"] as const;
export type Balance = (typeof BALANCES)[number];

/** The backends of one Service port and address family, shared by all its frontends. */
export interface BackendSet {
  readonly service: ObjectKey;
  /** Name of the Service's port; "" where it has none. */
  readonly portName: string;
  readonly protocol: Protocol;
  /** ClientIP affinity's time-out; undefined means no affinity. Kept per client and backend set (AFF-004). */
  readonly affinitySeconds: number | undefined;
  /** Who gets a connection that no affinity decides; always random with affinity. */
  readonly balance: Balance;
  /** Who takes traffic under policy Cluster; sorted; empty too when no frontend has that policy (PROXY-046). */
  readonly cluster: readonly Backend[];
  /** Who takes traffic under policy Local; sorted; empty too when no frontend has that policy. */
  readonly local: readonly Backend[];
  /** Some endpoint anywhere could take traffic: without backends then drop, otherwise reject (PROXY-048). */
  readonly hasEndpoints: boolean;
}

/** An address and port at which a Service is reached on this node. */
export interface Frontend {
  readonly protocol: Protocol;
  readonly address: IpAddress;
  readonly port: Port;
  readonly kind: FrontendKind;
  /** For traffic from Pods and from the node itself. */
  readonly internalPolicy: TrafficPolicy;
  /** For traffic from elsewhere. */
  readonly externalPolicy: TrafficPolicy;
  /** Sources that may connect, others are dropped (LBIP-005); undefined admits all. Sorted. */
  readonly sourceRanges: readonly Cidr[] | undefined;
  readonly target: BackendSet;
  /** The Service's creation time: of two claims of one kind the older wins. RFC 3339. */
  readonly since: string;
}

/** `TCP/127.96.0.1:80`: no two frontends of a table have the same. */
export type FrontendKey = string & { readonly __brand: "FrontendKey" };

export function frontendKey(
  frontend: Pick<Frontend, "protocol" | "address" | "port">,
): FrontendKey {
  // The only cast to FrontendKey.
  return `${frontend.protocol}/${formatHostPort(frontend.address, frontend.port)}` as FrontendKey;
}

/** Orders frontends by address, then protocol, then port: the order of a table. */
export function compareFrontends(
  a: Pick<Frontend, "protocol" | "address" | "port">,
  b: Pick<Frontend, "protocol" | "address" | "port">,
): number {
  return (
    compareText(a.address, b.address) || compareText(a.protocol, b.protocol) || a.port - b.port
  );
}

/** Orders claims of the same address and port: the first one has it (PROXY-014). */
export function compareClaims(a: Frontend, b: Frontend): number {
  return (
    FRONTEND_KINDS.indexOf(a.kind) - FRONTEND_KINDS.indexOf(b.kind) ||
    compareText(a.since, b.since) ||
    compareText(a.target.service, b.target.service) ||
    compareText(a.target.portName, b.target.portName)
  );
}

/** Code-unit order, the same on every machine whatever its locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether two frontends say the same. */
export function sameFrontend(a: Frontend, b: Frontend): boolean {
  return (
    a === b ||
    (a.protocol === b.protocol &&
      a.address === b.address &&
      a.port === b.port &&
      a.kind === b.kind &&
      a.internalPolicy === b.internalPolicy &&
      a.externalPolicy === b.externalPolicy &&
      a.since === b.since &&
      sameList(a.sourceRanges ?? [], b.sourceRanges ?? [], Object.is) &&
      (a.sourceRanges === undefined) === (b.sourceRanges === undefined) &&
      sameTarget(a.target, b.target))
  );
}

function sameTarget(a: BackendSet, b: BackendSet): boolean {
  return (
    a === b ||
    (a.service === b.service &&
      a.portName === b.portName &&
      a.protocol === b.protocol &&
      a.affinitySeconds === b.affinitySeconds &&
      a.balance === b.balance &&
      a.hasEndpoints === b.hasEndpoints &&
      sameBackends(a.cluster, b.cluster) &&
      sameBackends(a.local, b.local))
  );
}

function sameBackends(a: readonly Backend[], b: readonly Backend[]): boolean {
  return stepBetween(a, b) === undefined && sameList(a, b, sameBackend);
}

export function sameBackend(a: Backend, b: Backend): boolean {
  return a === b || (a.address === b.address && a.port === b.port && a.isLocal === b.isLocal);
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((item, i) => same(item, b[i] as T)); // i < b.length
}
