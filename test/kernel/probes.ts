import { ip, port } from "../../src/core/proxy/fixtures.test.ts";
import type { Frontend } from "../../src/core/proxy/frontend.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { ipFamilyOf } from "../../src/net/address.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { NODE4, NODE6, OTHER_WORLD4, WORLD4, WORLD6 } from "./network.ts";
import type { Client } from "./network.ts";

/** A client's connection or datagram to a frontend, or to a place that is none. */
export interface Probe {
  readonly client: Client;
  readonly source: string;
  readonly frontend: Pick<Frontend, "protocol" | "address" | "port">;
}

/** Clients of both families and the addresses that they come from. */
export type Clients = Readonly<Record<"IPv4" | "IPv6", readonly (readonly [Client, string])[]>>;

const [POD] = PODS;
if (POD === undefined) throw new Error("the test network has no Pod");

/** From the world, a Pod and the node. */
const CLIENTS: Clients = {
  IPv4: [
    [{ from: "world" }, WORLD4],
    [{ from: "world", source: OTHER_WORLD4 }, OTHER_WORLD4],
    [{ from: POD.name }, POD.v4],
    [{ from: "node", source: NODE4 }, NODE4],
  ],
  IPv6: [
    [{ from: "world" }, WORLD6],
    [{ from: POD.name }, POD.v6],
    [{ from: "node", source: NODE6 }, NODE6],
  ],
};

const OTHER_PORT = port(81);

/**
 * Every frontend asked by every client of its family, and cluster IPs at ports that are no Service's. Not SCTP:
 * kernels under test seldom have it.
 */
export function probesOf(table: ForwardingTable, clients: Clients = CLIENTS): readonly Probe[] {
  const asked = table.frontends.filter(({ protocol }) => protocol !== "SCTP");
  const unknown = [
    { protocol: "TCP" as const, address: ip("10.96.0.1"), port: OTHER_PORT },
    { protocol: "UDP" as const, address: ip("fd00:96::1"), port: OTHER_PORT },
  ];
  return [...asked, ...unknown].flatMap((frontend) =>
    clients[ipFamilyOf(frontend.address)].map(([client, source]) => ({ client, source, frontend })),
  );
}
