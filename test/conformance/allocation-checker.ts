import { keyOf, objectKey } from "../../src/api/machinery/object-key.ts";
import { ipAddressKind } from "../../src/api/networking/ipaddress.kind.ts";
import type { IPAddress } from "../../src/api/networking/ipaddress.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service } from "../../src/api/v1/service.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { isAllocated, serviceOfAddress } from "../../src/core/allocation/ip-address.ts";
import { holdingsOf } from "../../src/core/allocation/service-allocation.ts";
import type { Store } from "../../src/store/store.ts";

export interface AllocationState {
  readonly services: readonly Service[];
  readonly addresses: readonly IPAddress[];
  /** Who holds each node port according to the store; undefined: not looked at. */
  readonly nodePorts?: ReadonlyMap<number, string> | undefined;
}

/**
 * Everything that is wrong with who holds which cluster IP and node port: held twice, held without the record
 * that keeps others off, or recorded and held by nobody. Empty for a state that the API server may be in at any
 * moment.
 */
export function allocationProblems({
  services,
  addresses,
  nodePorts,
}: AllocationState): readonly string[] {
  const problems: string[] = [];
  const ipHolders = new Map<string, string>();
  const portHolders = new Map<number, string>();
  const hold = <K>(holders: Map<K, string>, what: K, holder: string) => {
    const other = holders.get(what);
    if (other !== undefined) problems.push(`${String(what)} is held by ${other} and ${holder}`);
    holders.set(what, holder);
  };
  for (const service of services) {
    const { ips, nodePorts: ports } = holdingsOf(service);
    for (const ip of ips) hold(ipHolders, ip as string, keyOf(service));
    for (const port of ports) hold(portHolders, port, keyOf(service));
  }
  const recorded = new Map(addresses.map((address) => [address.metadata.name, address]));
  for (const [ip, holder] of ipHolders) {
    const address = recorded.get(ip);
    const owner = address && serviceOfAddress(address);
    if (address === undefined) problems.push(`${ip} of ${holder} has no IPAddress`);
    else if (owner === undefined || objectKey(owner) !== holder) {
      problems.push(`${ip} of ${holder} is recorded for ${JSON.stringify(address.spec.parentRef)}`);
    }
  }
  for (const address of addresses) {
    const { name } = address.metadata;
    if (isAllocated(address) && !ipHolders.has(name)) problems.push(`${name} is held by nobody`);
  }
  for (const [port, holder] of portHolders) {
    const noted = nodePorts?.get(port);
    if (nodePorts !== undefined && noted !== holder) {
      problems.push(`node port ${String(port)} of ${holder} is noted for ${noted ?? "nobody"}`);
    }
  }
  for (const port of nodePorts?.keys() ?? []) {
    if (!portHolders.has(port)) problems.push(`node port ${String(port)} is held by nobody`);
  }
  return problems;
}

/** Reads the state through the API, and node ports from the store where one is given. Nobody may write meanwhile. */
export async function readAllocations(
  client: Pick<ApiClient, "list">,
  store?: Store,
): Promise<AllocationState> {
  const services = (await client.list(serviceKind)).items;
  const addresses = (await client.list(ipAddressKind)).items;
  if (store === undefined) return { services, addresses };
  const prefix = "/ranges/nodeports/";
  const { entries } = await store.range({ prefix });
  const nodePorts = new Map(
    entries.map(({ key, value }) => [Number(key.slice(prefix.length)), value]),
  );
  return { services, addresses, nodePorts };
}
