import type { Endpoint } from "../../api/discovery/endpointslice.ts";
import type { EndpointAddress, Endpoints, EndpointsPort } from "../../api/v1/endpoints.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpFamily } from "../../net/address.ts";
import { comparePorts, portsKey } from "./pod-ports.ts";
import type { ResolvedPort } from "./pod-ports.ts";

/** Addresses of one family that have the same ports. */
export interface MirrorGroup {
  readonly family: IpFamily;
  readonly ports: readonly ResolvedPort[];
  /** By {@link mirroredKey}. */
  readonly wanted: Map<string, Endpoint>;
}

interface MirrorGroups {
  readonly groups: readonly MirrorGroup[];
  /** Addresses that are none (MIRR-010). */
  readonly invalid: number;
  /** Addresses over the limit (MIRR-009). */
  readonly skipped: number;
}

/** An address with the ports that it has in all subsets together. */
interface Repacked {
  readonly address: EndpointAddress;
  readonly ready: boolean;
  readonly ports: Map<string, ResolvedPort>;
}

/**
 * The endpoints that an Endpoints object stands for. Its subsets are packed anew first, as an address may be in
 * several of them (MIRR-005..010; upstream `RepackSubsets`): subsets of one address with several ports become
 * one group with all of them; a port that an address has both ready and not ready is not ready.
 * @param maxPerSubset of a group of equal ports, both families together; the ready ones come first.
 */
export function mirrorGroupsOf(endpoints: Endpoints, maxPerSubset: number): MirrorGroups {
  const bySubset = new Map<string, Repacked[]>();
  for (const repacked of repack(endpoints)) {
    const key = portsKey(portsOf(repacked));
    bySubset.set(key, [...(bySubset.get(key) ?? []), repacked]);
  }
  const groups = new Map<string, MirrorGroup>();
  let invalid = 0;
  let skipped = 0;
  for (const [key, subset] of [...bySubset].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    let taken = 0;
    for (const repacked of subset.toSorted(readyFirst)) {
      const ip = parseIpAddress(repacked.address.ip);
      if (ip === undefined) {
        invalid++;
        continue;
      }
      if (taken === maxPerSubset) {
        skipped++;
        continue;
      }
      taken++;
      const family = ipFamilyOf(ip);
      const id = `${family}/${key}`;
      const group = groups.get(id) ?? { family, ports: portsOf(repacked), wanted: new Map() };
      groups.set(id, group);
      const endpoint = endpointOf(repacked, ip);
      group.wanted.set(mirroredKey(endpoint), endpoint);
    }
  }
  return { groups: [...groups.values()], invalid, skipped };
}

/** What tells mirrored endpoints apart: one object may stand behind several addresses. */
export function mirroredKey({ addresses, targetRef }: Endpoint): string {
  return `${addresses.join()}/${targetRef?.uid ?? ""}`;
}

function repack({ subsets = [] }: Endpoints): readonly Repacked[] {
  const unready = new Set<string>();
  const idOf = ({ ip, targetRef }: EndpointAddress): string => `${ip}/${targetRef?.uid ?? ""}`;
  const portKey = (port: ResolvedPort | undefined): string =>
    port === undefined ? "" : portsKey([port]);
  for (const { notReadyAddresses = [], ports = [] } of subsets) {
    for (const address of notReadyAddresses) {
      const resolved = ports.length === 0 ? [undefined] : ports.map((port) => resolvedOf(port));
      for (const port of resolved) unready.add(`${idOf(address)} ${portKey(port)}`);
    }
  }
  const repacked = new Map<string, Repacked>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const resolved = ports.length === 0 ? [undefined] : ports.map((port) => resolvedOf(port));
    for (const address of [...addresses, ...notReadyAddresses]) {
      for (const port of resolved) {
        const ready = !unready.has(`${idOf(address)} ${portKey(port)}`);
        const id = `${idOf(address)} ${String(ready)}`;
        const entry = repacked.get(id) ?? { address, ready, ports: new Map() };
        repacked.set(id, entry);
        if (port !== undefined) entry.ports.set(portKey(port), port);
      }
    }
  }
  return [...repacked.values()];
}

function resolvedOf({ name = "", protocol, port, appProtocol }: EndpointsPort): ResolvedPort {
  return { name, protocol, port, ...(appProtocol === undefined ? {} : { appProtocol }) };
}

function portsOf({ ports }: Repacked): readonly ResolvedPort[] {
  return [...ports.values()].toSorted(comparePorts);
}

function readyFirst(a: Repacked, b: Repacked): number {
  if (a.ready !== b.ready) return a.ready ? -1 : 1;
  return a.address.ip < b.address.ip ? -1 : a.address.ip === b.address.ip ? 0 : 1;
}

/** Whether it is serving or terminating nobody can tell from an Endpoints object (MIRR-005). */
function endpointOf({ address, ready }: Repacked, ip: string): Endpoint {
  const { hostname = "", nodeName = "", targetRef } = address;
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname === "" ? {} : { hostname }),
    ...(nodeName === "" ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}
