import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { objectKey } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import type { Service } from "../../api/v1/service.ts";
import { proxiedServiceOf } from "./endpoint-view.ts";
import { compareClaims, compareFrontends, compareText, frontendKey } from "./frontend.ts";
import type { Frontend, FrontendKey } from "./frontend.ts";
import { servicePart } from "./service-part.ts";
import type { HealthCheck, ProxyNode, ServicePart } from "./service-part.ts";

/**
 * Where packets go on one node: what data planes render, `why` explains and tests compare against. Plain data,
 * sorted, comparable by value, the same whatever order its inputs came in.
 */
export interface ForwardingTable {
  readonly node: ProxyNode;
  /** Ordered by address, protocol and port; each of these three once. */
  readonly frontends: readonly Frontend[];
  /** Addresses and ports that several Services claim; ordered by frontend (PROXY-014). */
  readonly conflicts: readonly Conflict[];
  /** Ordered by Service. */
  readonly healthChecks: readonly ServiceHealthCheck[];
}

interface Conflict {
  readonly frontend: FrontendKey;
  readonly winner: ObjectKey;
  /** In order of precedence: the first gets it when the winner goes. */
  readonly losers: readonly ObjectKey[];
}

interface ServiceHealthCheck extends HealthCheck {
  readonly service: ObjectKey;
}

export function forwardingTable(input: {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly node: ProxyNode;
}): ForwardingTable {
  const slicesOf = new Map<ObjectKey, EndpointSlice[]>();
  for (const slice of input.slices) {
    const ref = proxiedServiceOf(slice);
    if (ref === undefined) continue;
    const key = objectKey(ref);
    const known = slicesOf.get(key);
    if (known === undefined) slicesOf.set(key, [slice]);
    else known.push(slice);
  }
  const parts = input.services.map((service) =>
    servicePart(service, slicesOf.get(objectKey(service.metadata)) ?? [], input.node),
  );
  return mergeParts(parts, input.node);
}

/** Puts the parts of all Services together. @see LiveTable for the same a Service at a time. */
export function mergeParts(parts: Iterable<ServicePart>, node: ProxyNode): ForwardingTable {
  const healthChecks: ServiceHealthCheck[] = [];
  const claims: Frontend[] = [];
  for (const part of parts) {
    claims.push(...part.frontends);
    if (part.healthCheck !== undefined) {
      healthChecks.push({ service: part.service, ...part.healthCheck });
    }
  }
  claims.sort((a, b) => compareFrontends(a, b) || compareClaims(a, b));
  const frontends: Frontend[] = [];
  const conflicts: { frontend: FrontendKey; winner: ObjectKey; losers: ObjectKey[] }[] = [];
  for (const claim of claims) {
    const holder = frontends.at(-1);
    if (holder === undefined || compareFrontends(holder, claim) !== 0) {
      frontends.push(claim);
      continue;
    }
    const key = frontendKey(claim);
    const conflict = conflicts.at(-1);
    if (conflict?.frontend === key) conflict.losers.push(claim.target.service);
    else {
      const losers = [claim.target.service];
      conflicts.push({ frontend: key, winner: holder.target.service, losers });
    }
  }
  healthChecks.sort((a, b) => compareText(a.service, b.service));
  return { node, frontends, conflicts, healthChecks };
}
