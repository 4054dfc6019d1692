import type { IpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";

/** What the supervisor of the lab tells each program that it starts in a namespace, as a file of JSON. */
export type PartConfig = ControlConfig | NodeConfig;

interface CommonConfig {
  readonly clusterDomain: string;
  /** Where the part keeps what is its own. */
  readonly dir: string;
}

export interface ControlConfig extends CommonConfig {
  readonly kind: "control";
  readonly addresses: readonly [IpAddress, IpAddress];
  /** A process that is in the world's network namespace. */
  readonly worldPid: number;
  /** Path of the Unix socket that the host's clients come in by: it is the same in every network namespace. */
  readonly socket: string;
  readonly serviceCidrs: readonly [Cidr, Cidr];
  readonly loadBalancerCidrs: readonly [Cidr, Cidr];
  readonly clusterDns: readonly [IpAddress, IpAddress];
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly IpAddress[] }[];
  /** Where each node finds its own certificates, a folder a node. */
  readonly nodesDir: string;
  readonly adminKubeconfig: string;
  /** What the host's clients connect to, written into the admin's kubeconfig. */
  readonly adminServer: string;
  readonly manifests: readonly string[];
}

export interface NodeConfig extends CommonConfig {
  readonly kind: "node";
  readonly name: string;
  readonly zone: string | undefined;
  readonly addresses: readonly [IpAddress, IpAddress];
  readonly podCidr: Cidr;
  readonly secondPodCidr: Cidr;
  /** What nodes have their addresses from. */
  readonly nodeRanges: readonly Cidr[];
  /** Of all nodes together. */
  readonly podRanges: readonly Cidr[];
  readonly serviceCidrs: readonly [Cidr, Cidr];
  readonly clusterDns: readonly [IpAddress, IpAddress];
  /**
   * Folder with the node's kubeconfigs, `ca.crt`, and `.crt` and `.key` of `agent` and `dns`, made by the control
   * plane, which renews those of `dns`.
   */
  readonly credentialsDir: string;
}

/** The line that a part prints on stdout when it serves. */
export interface PartReady {
  readonly ready: true;
  /** Of the control plane: what became of the manifests. */
  readonly applied?: readonly string[];
  readonly problems?: readonly string[];
}

/** Certificate and key of DNS over TLS in a node's folder of credentials. */
export const DNS_CERTIFICATE = { cert: "dns.crt", key: "dns.key" } as const;

/** Files in a node's folder of credentials, made by the control plane; the agent's comes last. */
export const AGENT_KUBECONFIG = "agent.kubeconfig";
export const NETWORK_KUBECONFIG = "network.kubeconfig";

/** Port of the API server in its namespace. */
export const API_PORT = 6443;

/** The socket of a node's folder by which the host opens connections from that node. */
export const DIALER_SOCKET = "dial.sock";
