import type { IpAddress } from "../../net/address.ts";
import { ipFamilyOf, ipToBytes } from "../../net/address.ts";

/** A load balancer's address and the nodes that take its new connections, by addresses of its family; at least one. */
export interface Balanced {
  readonly address: IpAddress;
  readonly nodes: readonly IpAddress[];
}

const FAMILIES = [
  { family: "IPv4", table: "ip" },
  { family: "IPv6", table: "ip6" },
] as const;

/** The mark of connections to a node: the last byte of its addresses, which no other machine of the lab has. */
function markOf(node: IpAddress): string {
  return String(ipToBytes(node).at(-1));
}

/** A way to each node by its mark, given its addresses of one family: `ip` commands for the world's network namespace. */
export function balancerRoutes(nodes: readonly IpAddress[]): readonly string[] {
  // Tables from 1 to 252 are nobody's; an address ends with no more than 249.
  return nodes.map((node) => `route add default via ${node} table ${markOf(node)}`);
}

/** Sends packets that carry a node's mark its way: `ip` commands of one family, which the program is told. */
export function balancerRules(nodes: readonly IpAddress[]): readonly string[] {
  return nodes.map((node) => `rule add fwmark ${markOf(node)} lookup ${markOf(node)}`);
}

/**
 * The rules of the balancer, whole, for one transaction of `nft -f -`: a new connection is dealt to one of the address's
 * nodes and keeps it, as its mark is conntrack's and outlives the rules. Addresses that are not listed go as the routes
 * say.
 */
export function renderBalancer(balanced: readonly Balanced[]): string {
  return FAMILIES.map(({ family, table }) => {
    const chains = balanced
      .filter(({ address }) => ipFamilyOf(address) === family)
      .map(({ address, nodes }) => {
        const marks = nodes.map((node, i) => `${String(i)} : ${markOf(node)}`);
        const pick = `numgen random mod ${String(nodes.length)} map { ${marks.join(", ")} }`;
        return `    ct state new ${table} daddr ${address} ct mark set ${pick}`;
      });
    const lines = [
      `table ${table} balancer {`,
      "  chain output {",
      // Of this type: what has got a mark is routed anew.
      "    type route hook output priority mangle; policy accept;",
      ...chains,
      "    ct mark != 0 meta mark set ct mark",
      "  }",
      "}",
    ];
    // Declared before it is deleted, as it may not be there yet.
    return `table ${table} balancer\ndelete table ${table} balancer\n${lines.join("\n")}\n`;
  }).join("");
}
