import type { Endpoint, EndpointHints } from "../../api/discovery/endpointslice.ts";
import type { Service } from "../../api/v1/service.ts";

/**
 * The hints that `spec.trafficDistribution` asks for (TOPO-001..003; KEP-3015): each ready endpoint is for its
 * own zone, and with PreferSameNode for its own node before that. PreferClose is the old name of
 * PreferSameZone.
 * @returns undefined for an endpoint that gets none.
 */
export function distributionHints(
  { spec }: Service,
  { conditions, nodeName, zone }: Endpoint,
): EndpointHints | undefined {
  const { trafficDistribution = "" } = spec;
  if (trafficDistribution === "" || conditions.ready !== true) return undefined;
  const isForNodes = trafficDistribution === "PreferSameNode" && nodeName !== undefined;
  if (zone === undefined && !isForNodes) return undefined;
  return {
    ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
    ...(isForNodes ? { forNodes: [{ name: nodeName }] } : {}),
  };
}
