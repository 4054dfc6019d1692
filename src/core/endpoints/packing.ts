import type { Endpoint } from "../../api/discovery/endpointslice.ts";
import { endpointKey, isSameEndpoint } from "./slice-endpoint.ts";

/** A slice as packing sees it: `S` is whatever the caller knows it by. */
export interface PackedSlice<S> {
  readonly slice: S;
  readonly endpoints: readonly Endpoint[];
}

export interface Packing<S> {
  /** Endpoints of slices to be made. */
  readonly create: readonly (readonly Endpoint[])[];
  readonly update: readonly PackedSlice<S>[];
  /** Slices that hold none of the wanted endpoints. */
  readonly empty: readonly S[];
  readonly unchanged: readonly PackedSlice<S>[];
}

/**
 * Lays the wanted endpoints of one port group into its slices with as few writes as can be (EPS-041..045,
 * 049; upstream `reconcileByPortMapping`): what is in a slice stays there; new endpoints go to slices that
 * are written anyway, the fullest first; the rest, if it fits, into one more slice; else into new ones.
 * Nothing is ever moved to balance slices.
 * @param existing in a fixed order; @param wanted by `keyOf`, which tells endpoints apart.
 */
export function packEndpoints<S>(
  existing: readonly PackedSlice<S>[],
  wanted: ReadonlyMap<string, Endpoint>,
  maxPerSlice: number,
  keyOf: (endpoint: Endpoint) => string = endpointKey,
): Packing<S> {
  const placed = new Set<string>();
  const changed: { readonly slice: S; readonly endpoints: Endpoint[] }[] = [];
  const unchanged: PackedSlice<S>[] = [];
  const empty: S[] = [];
  for (const { slice, endpoints } of existing) {
    const kept: Endpoint[] = [];
    let isChanged = false;
    for (const endpoint of endpoints) {
      const key = keyOf(endpoint);
      const now = wanted.get(key);
      // An endpoint that is in two slices, after a write whose answer was lost, stays in the first.
      if (now === undefined || placed.has(key)) {
        isChanged = true;
        continue;
      }
      placed.add(key);
      if (isSameEndpoint(endpoint, now)) kept.push(endpoint);
      else {
        kept.push(now);
        isChanged = true;
      }
    }
    if (kept.length === 0) empty.push(slice);
    else if (isChanged || kept.length > maxPerSlice) changed.push({ slice, endpoints: kept });
    else unchanged.push({ slice, endpoints });
  }

  const rest =
    placed.size === wanted.size
      ? []
      : [...wanted].filter(([key]) => !placed.has(key)).map(([, endpoint]) => endpoint);
  rest.sort((a, b) => byTarget(a, b, keyOf));
  // A slice from before the limit was lowered gives up what is over it.
  for (const { endpoints } of changed) {
    if (endpoints.length > maxPerSlice) rest.push(...endpoints.splice(maxPerSlice));
  }
  const fullestFirst = changed.toSorted((a, b) => b.endpoints.length - a.endpoints.length);
  for (const { endpoints } of fullestFirst) {
    endpoints.push(...rest.splice(0, Math.max(0, maxPerSlice - endpoints.length)));
  }

  const create: Endpoint[][] = [];
  while (rest.length > 0) {
    const fit = rest.length < maxPerSlice ? closestFit(unchanged, rest.length, maxPerSlice) : -1;
    const [filled] = fit === -1 ? [] : unchanged.splice(fit, 1);
    if (filled === undefined) create.push(rest.splice(0, maxPerSlice));
    else changed.push({ slice: filled.slice, endpoints: [...filled.endpoints, ...rest.splice(0)] });
  }
  return { create, update: changed, empty, unchanged };
}

/** Index of the slice that is fullest afterwards among those with room for `count` more (EPS-044), or -1. */
function closestFit(
  slices: readonly PackedSlice<unknown>[],
  count: number,
  maxPerSlice: number,
): number {
  let best = -1;
  let bestLength = -1;
  for (const [i, { endpoints }] of slices.entries()) {
    if (endpoints.length + count > maxPerSlice || endpoints.length <= bestLength) continue;
    best = i;
    bestLength = endpoints.length;
  }
  return best;
}

function byTarget(a: Endpoint, b: Endpoint, keyOf: (endpoint: Endpoint) => string): number {
  const [nameA, nameB] = [a.targetRef?.name ?? "", b.targetRef?.name ?? ""];
  if (nameA !== nameB) return nameA < nameB ? -1 : 1;
  return keyOf(a) < keyOf(b) ? -1 : 1;
}
