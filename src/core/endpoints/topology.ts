import type { Service } from "../../api/v1/service.ts";
import type { IpFamily } from "../../net/address.ts";
import type { ZoneCapacity } from "./zone-capacity.ts";

const TOPOLOGY_MODE_ANNOTATION = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints";

/** A zone may get so much more traffic for each of its endpoints than there is on average (TOPO-009). */
const OVERLOAD_THRESHOLD = 0.2;

/** Why an endpoint cannot be given a zone; upstream's words, which users search for. */
const NO_ZONE = "One or more endpoints do not have a zone specified";
const NODES_UNKNOWN =
  "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
const ONE_ZONE = "Nodes only ready in one zone";
const TOO_FEW_ENDPOINTS = "Insufficient number of endpoints";
const OVERLOAD =
  "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";

export interface ReadyEndpoint {
  readonly key: string;
  readonly zone: string | undefined;
}

/** What became of a Service's wish for `topology-mode: Auto`, in one family. */
export type TopologyOutcome =
  /** There was none. */
  | { readonly kind: "off" }
  /** `zones` names the zone that each endpoint is for, by the endpoint's key. */
  | { readonly kind: "hinted"; readonly zones: ReadonlyMap<string, string> }
  | { readonly kind: "refused"; readonly why: string; readonly detail: string };

export interface TopologyNews {
  readonly type: "Normal" | "Warning";
  readonly reason: "TopologyAwareHintsEnabled" | "TopologyAwareHintsDisabled";
  readonly message: string;
}

/** The Service asks for hints in proportion to the zones' CPU (TOPO-004, 006). The older annotation wins. */
export function wantsTopology({ metadata }: Service): boolean {
  const { annotations = {} } = metadata;
  const mode = annotations[TOPOLOGY_HINTS_ANNOTATION] ?? annotations[TOPOLOGY_MODE_ANNOTATION];
  return mode === "Auto" || mode === "auto";
}

/**
 * Gives each ready endpoint one zone, so that no zone's endpoints must take over 20 % more than their share
 * (TOPO-007..011). An endpoint keeps the zone that it was given before; else it gets its own; and endpoints go
 * to other zones only while a zone has fewer than it needs, so that one Pod more or less changes few hints.
 * Upstream (`topologycache.go`: `AddHints`) has the same limits, but shares anew whatever slice it writes.
 * @param before the zones given so far, by the endpoint's key.
 */
export function planTopology(
  endpoints: readonly ReadyEndpoint[],
  before: ReadonlyMap<string, string>,
  capacity: ZoneCapacity,
): Exclude<TopologyOutcome, { kind: "off" }> {
  if (capacity.kind === "unknown") return { kind: "refused", why: NODES_UNKNOWN, detail: "" };
  const { shares } = capacity;
  if (shares.size < 2) return { kind: "refused", why: ONE_ZONE, detail: "" };
  const detail = ` (${String(endpoints.length)} endpoints, ${String(shares.size)} zones)`;
  if (endpoints.length < shares.size) return { kind: "refused", why: TOO_FEW_ENDPOINTS, detail };
  if (endpoints.some(({ zone }) => zone === undefined)) {
    return { kind: "refused", why: NO_ZONE, detail: "" };
  }
  const parts = [...shares]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([zone, share]) => {
      const desired = share * endpoints.length;
      return { zone, desired, minimum: Math.ceil(desired / (1 + OVERLOAD_THRESHOLD) - 1e-9) };
    });
  const needed = parts.reduce((sum, { minimum }) => sum + minimum, 0);
  if (needed > endpoints.length) return { kind: "refused", why: OVERLOAD, detail };
  return { kind: "hinted", zones: shareOut(endpoints, before, parts) };
}

interface ZonePart {
  readonly zone: string;
  readonly desired: number;
  readonly minimum: number;
}

function shareOut(
  endpoints: readonly ReadyEndpoint[],
  before: ReadonlyMap<string, string>,
  parts: readonly ZonePart[],
): ReadonlyMap<string, string> {
  const members = new Map(parts.map(({ zone }) => [zone, new Array<ReadyEndpoint>()]));
  // Endpoints in zones whose nodes are all away serve the others.
  const strays: ReadyEndpoint[] = [];
  for (const endpoint of endpoints.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    const known = members.get(before.get(endpoint.key) ?? "") ?? members.get(endpoint.zone ?? "");
    (known ?? strays).push(endpoint);
  }
  const excess = ({ zone, desired }: ZonePart): number =>
    (members.get(zone)?.length ?? 0) - desired;
  const neediest = (): ZonePart | undefined => parts.toSorted((a, b) => excess(a) - excess(b))[0];
  for (const stray of strays) members.get(neediest()?.zone ?? "")?.push(stray);

  for (;;) {
    const short = parts.filter(({ zone, minimum }) => (members.get(zone)?.length ?? 0) < minimum);
    if (short.length === 0) break;
    const [taker] = short.toSorted((a, b) => excess(a) - excess(b));
    // There is one, since the minimums add up to no more than there are endpoints.
    const [giver] = parts
      .filter(({ zone, minimum }) => (members.get(zone)?.length ?? 0) > minimum)
      .toSorted((a, b) => excess(b) - excess(a));
    if (taker === undefined || giver === undefined) break;
    const given = members.get(giver.zone) ?? [];
    // One that is at home in the short zone, else one that is away from home already, else the last.
    let index = given.findIndex(({ zone }) => zone === taker.zone);
    if (index === -1) index = given.findLastIndex(({ zone }) => zone !== giver.zone);
    members.get(taker.zone)?.push(...given.splice(index, 1));
  }
  return new Map(
    [...members].flatMap(([zone, list]) => list.map(({ key }) => [key, zone] as const)),
  );
}

/** What to tell the user when the outcome is another one than before (TOPO-012, 013); undefined: nothing. */
export function topologyNews(
  family: IpFamily,
  before: TopologyOutcome,
  now: TopologyOutcome,
): TopologyNews | undefined {
  const text = (message: string): string => `${message}, addressType: ${family}`;
  const disabled = (message: string): TopologyNews => ({
    type: "Warning",
    reason: "TopologyAwareHintsDisabled",
    message: text(message),
  });
  switch (now.kind) {
    case "hinted":
      return before.kind === "hinted"
        ? undefined
        : {
            type: "Normal",
            reason: "TopologyAwareHintsEnabled",
            message: text("Topology Aware Hints has been enabled"),
          };
    case "refused":
      return before.kind === "refused" && before.why === now.why
        ? undefined
        : disabled(now.why + now.detail);
    case "off":
      return before.kind === "hinted"
        ? disabled("Topology Aware Hints has been disabled")
        : undefined;
  }
}
