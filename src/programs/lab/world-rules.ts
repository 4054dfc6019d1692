import type { IpAddress } from "../../net/address.ts";
import { ipToBytes } from "../../net/address.ts";

/** A load balancer's address and the nodes that take its new connections; at least one. */
export interface Balanced {
  readonly address: IpAddress;
  readonly nodes: readonly IpAddress[];
}

const TABLE = "ip balancer";

/** The mark of connections to a node: the last byte of its address, which no other machine of the lab has. */
function markOf(node: IpAddress): string {
  return String(ipToBytes(node).at(-1));
}

/** A way to each node for packets that carry its mark: `ip` commands for the world's network namespace. */
export function balancerRoutes(nodes: readonly IpAddress[]): readonly string[] {
  return nodes.flatMap((node) => {
    const mark = markOf(node);
    // Tables from 1 to 252 are nobody's; an address ends with no more than 249.
    return [
      `route add default via ${node} table ${mark}`,
      `rule add fwmark ${mark} lookup ${mark}`,
    ];
  });
}

/**
 * The rules of the balancer, whole, for one transaction of `nft -f -`: a new connection is dealt to one of the address's
 * nodes and keeps it, as its mark is conntrack's and outlives the rules. Addresses that are not listed go as the routes
 * say.
 */
export function renderBalancer(balanced: readonly Balanced[]): string {
  const chains = balanced.map(({ address, nodes }) => {
    const marks = nodes.map((node, i) => `${String(i)} : ${markOf(node)}`);
    const pick = `numgen random mod ${String(nodes.length)} map { ${marks.join(", ")} }`;
    return `    ct state new ip daddr ${address} ct mark set ${pick}`;
  });
  const lines = [
    `table ${TABLE} {`,
    "  chain output {",
    // Of this type: what has got a mark is routed anew.
    "    type route hook output priority mangle; policy accept;",
    ...chains,
    "    ct mark != 0 meta mark set ct mark",
    "  }",
    "}",
  ];
  // Declared before it is deleted, as it may not be there yet.
  return `table ${TABLE}\ndelete table ${TABLE}\n${lines.join("\n")}\n`;
}
