import { networkInterfaces } from "node:os";
import type { Node } from "../api/v1/node.ts";
import { isLinkLocalUnicast, isLoopback, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrContains, parseCidr, singleAddress } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";

/** What the proxy must know of the node that it runs on. */
export interface NodeAddresses {
  /** Where node ports are served. */
  readonly nodePorts: readonly IpAddress[];
  /** Where this node's Pods have their addresses. */
  readonly pods: readonly Cidr[];
  /** Sources that count as Pods or as this node. */
  readonly inside: readonly Cidr[];
}

export interface AddressOptions {
  /** "primary": the node's InternalIPs; else the addresses of this machine in these ranges. */
  readonly nodePortAddresses: "primary" | readonly Cidr[];
  /** Ranges of all Pods of the cluster; empty: those of this node by its object. */
  readonly clusterCidrs: readonly Cidr[];
  readonly localhostNodePorts: boolean;
}

const LOCALHOST = parseIpAddress("127.0.0.1");

/** Works out the node's addresses; the same lists whatever order the system gives them in. */
export function nodeAddresses(
  node: Node | undefined,
  machine: readonly IpAddress[],
  options: AddressOptions,
): NodeAddresses {
  const own = machine.filter((address) => !isLoopback(address) && !isLinkLocalUnicast(address));
  const primary = (node?.status?.addresses ?? [])
    .filter((each) => each.type === "InternalIP")
    .flatMap((each) => parseIpAddress(each.address) ?? []);
  const { nodePortAddresses: wanted } = options;
  const nodePorts =
    wanted === "primary"
      ? primary.length > 0
        ? primary
        : own
      : own.filter((address) => wanted.some((range) => cidrContains(range, address)));
  const podCidrs = (node?.spec?.podCIDRs ?? []).flatMap((text) => parseCidr(text) ?? []);
  const pods = options.clusterCidrs.length > 0 ? options.clusterCidrs : podCidrs;
  // The node's ends of its Pods' links come and go with them; they lie in the Pods' range.
  const machines = [...own, ...primary].filter(
    (address) => !pods.some((range) => cidrContains(range, address)),
  );
  const localhost = options.localhostNodePorts && LOCALHOST !== undefined ? [LOCALHOST] : [];
  return {
    nodePorts: [...new Set([...nodePorts, ...localhost])].sort(),
    pods: [...new Set(pods)].sort(),
    inside: [...new Set([...pods, ...machines.map(singleAddress)])].sort(),
  };
}

/** The addresses of this machine's interfaces now. */
export function machineAddresses(): readonly IpAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ address }) => parseIpAddress(address) ?? []);
}
