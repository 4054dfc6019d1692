import type { IpAddress } from "../../net/address.ts";
import { cidrAddress, parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { balancerRoutes, balancerRules } from "./world-rules.ts";

/** One machine of the lab: a network namespace with a link to the bridge that joins them all. */
export interface Machine {
  readonly name: string;
  /** Its addresses on the bridge, IPv4 first. */
  readonly addresses: readonly [IpAddress, IpAddress];
}

export interface LabNode extends Machine {
  readonly zone: string | undefined;
  readonly podCidr: Cidr;
  readonly secondPodCidr: Cidr;
}

/** Everything of a lab that can be said before it is built. */
export interface LabPlan {
  /** Where the API server and the controllers run. */
  readonly control: Machine;
  /** Outside the cluster: it reaches nodes and load-balancer addresses, and nothing else. */
  readonly world: Machine;
  readonly nodes: readonly LabNode[];
  /** What nodes have their addresses from. */
  readonly nodeRanges: readonly [Cidr, Cidr];
  readonly serviceCidrs: readonly [Cidr, Cidr];
  /** Those that the nodes' ranges of Pods are parts of. */
  readonly podRanges: readonly [Cidr, Cidr];
  readonly loadBalancerCidrs: readonly [Cidr, Cidr];
  /** The same on every node, and answered there. */
  readonly clusterDns: readonly [IpAddress, IpAddress];
  readonly clusterDomain: string;
}

/** Node i has .10+i on the bridge, so this many fit below .250. */
export const MAX_NODES = 200;
const FIRST_NODE = 10;
const CONTROL = 2;
const WORLD = 3;
/** As kubeadm has it: the tenth address of the Services' range. */
const CLUSTER_DNS = 10n;

const MACHINES = [cidr("10.200.0.0/24"), cidr("fd00:200::/64")] as const;
const SERVICES = [cidr("10.96.0.0/16"), cidr("fd00:10:96::/112")] as const;
const PODS = [cidr("10.244.0.0/16"), cidr("fd00:10:244::/48")] as const;
/** What the world's router sends to the nodes: load balancers' addresses and, beyond those, external IPs. */
const ROUTED = [cidr("10.201.0.0/16"), cidr("fd00:201::/64")] as const;
const LOAD_BALANCERS = [cidr("10.201.0.0/24"), cidr("fd00:201::/120")] as const;

const BRIDGE_PREFIXES = [24, 64] as const;

/**
 * A lab of `nodes` nodes in `zones` zones, dealt in turn; 0 zones: none has one.
 * @throws RangeError when there are more nodes than addresses.
 */
export function planLab(nodes: number, zones: number, clusterDomain: string): LabPlan {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES)
    throw new RangeError(`a lab has 1 to ${String(MAX_NODES)} nodes, not ${String(nodes)}`);
  return {
    control: machine("control", CONTROL),
    world: machine("world", WORLD),
    nodes: Array.from({ length: nodes }, (_, index) => ({
      ...machine(`node-${String(index + 1)}`, FIRST_NODE + index + 1),
      zone:
        zones === 0 ? undefined : `zone-${ZONE_LETTERS[index % zones] ?? String(index % zones)}`,
      podCidr: cidr(`10.244.${String(index + 1)}.0/24`),
      secondPodCidr: cidr(`fd00:10:244:${(index + 1).toString(16)}::/64`),
    })),
    nodeRanges: MACHINES,
    serviceCidrs: SERVICES,
    podRanges: PODS,
    loadBalancerCidrs: LOAD_BALANCERS,
    clusterDns: [cidrAddress(SERVICES[0], CLUSTER_DNS), cidrAddress(SERVICES[1], CLUSTER_DNS)],
    clusterDomain,
  };
}

const ZONE_LETTERS = "abcdefghijklmnopqrstuvwxyz";

function machine(name: string, host: number): Machine {
  const [four, six] = MACHINES;
  return { name, addresses: [cidrAddress(four, BigInt(host)), cidrAddress(six, BigInt(host))] };
}

/** Name of a machine's end of its link on the side of the bridge; a device's name has 15 characters. */
export function bridgePort({ name }: Machine): string {
  return `to-${name}`.slice(0, 15);
}

/**
 * How a machine's namespace joins the lab, and which way its packets go: `ip` commands to be given in its own network
 * namespace.
 * @param bridgePid a process in the network namespace that has the bridge.
 */
export function machineCommands(
  plan: LabPlan,
  machine: Machine,
  bridgePid: number,
): readonly string[] {
  const { addresses } = machine;
  const isNode = plan.nodes.some(({ name }) => name === machine.name);
  return [
    `link add eth0 type veth peer name ${bridgePort(machine)} netns ${String(bridgePid)}`,
    "link set lo up",
    ...addresses.map(
      (address, i) =>
        `addr add ${address}/${String(BRIDGE_PREFIXES[i] ?? 0)} dev eth0${i === 1 ? " nodad" : ""}`,
    ),
    "link set eth0 up",
    ...machineRoutes(plan, machine),
    ...(isNode ? dnsAddresses(plan) : []),
  ];
}

function machineRoutes(plan: LabPlan, machine: Machine): readonly string[] {
  // The API server reaches Pods for the sake of the proxy subresource, nodes each other's Pods.
  const toPods = plan.nodes
    .filter((node) => node.name !== machine.name)
    .flatMap((node) => [
      `route add ${node.podCidr} via ${node.addresses[0]}`,
      `route add ${node.secondPodCidr} via ${node.addresses[1]}`,
    ]);
  if (machine.name !== plan.world.name) {
    // All else is outside. Without such a route the kernel refuses a cluster IP before any rule sees it.
    const [four, six] = plan.world.addresses;
    return [...toPods, `route add default via ${four}`, `route add default via ${six}`];
  }
  // A router that spreads connections over all nodes, as one with equal-cost routes does.
  return ROUTED.flatMap((range, i) => {
    const nodes = plan.nodes.flatMap(({ addresses }) => addresses[i] ?? []);
    const hops = nodes.map((node) => `nexthop via ${node}`).join(" ");
    return [`route add ${range} ${hops}`, ...balancerRoutes(nodes)];
  });
}

/** Every node has the cluster's DNS addresses for itself and answers them without another hop. */
function dnsAddresses(plan: LabPlan): readonly string[] {
  const [four, six] = plan.clusterDns;
  return [`addr add ${four}/32 dev lo`, `addr add ${six}/128 dev lo nodad`];
}

/** Which packets of the world go by other routes than its own: `ip` commands, the same for each family. */
export function worldRules(plan: LabPlan): readonly string[] {
  return balancerRules(plan.nodes.map(({ addresses: [four] }) => four));
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} is no range`);
  return parsed;
}
