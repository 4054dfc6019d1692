import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { failure } from "../api/machinery/status.ts";
import type { StatusError } from "../api/machinery/status.ts";
import type { Endpoints } from "../api/v1/endpoints.ts";
import type { Node } from "../api/v1/node.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import {
  isLinkLocalUnicast,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseIpAddress,
} from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrContains } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { formatHostPort } from "../net/host-port.ts";
import { badRequest } from "./failures.ts";

/** Where a proxy subresource leads: never a name, so that what was checked is what is connected to. */
export interface ProxyTarget {
  /** `http://IP:PORT` or `https://IP:PORT`. */
  readonly origin: string;
}

/** `[SCHEME:]NAME[:PORT]`, as in the URL. */
export interface ProxyName {
  readonly scheme: "http" | "https";
  readonly name: string;
  /** "" where none was given. */
  readonly port: string;
  /** All of it, for messages. */
  readonly text: string;
}

/** The parts of a name in a proxy URL; undefined for what is none. As upstream's SplitSchemeNamePort. */
export function parseProxyName(text: string): ProxyName | undefined {
  const parts = text.split(":");
  if (parts.length > 3) return undefined;
  const [scheme, name = "", port = ""] = parts.length === 3 ? parts : ["", ...parts];
  if (name === "" || (scheme !== "" && scheme !== "http" && scheme !== "https")) return undefined;
  return { scheme: scheme === "https" ? "https" : "http", name, port, text };
}

/**
 * Which addresses may be connected to. A Pod's status is written by node agents and by whoever may patch it; its
 * address must not lead to the machine itself or to a cloud's metadata service.
 */
export function isProxyable(
  address: string,
  loopbackPodCidrs: readonly Cidr[],
): address is IpAddress {
  const ip = parseIpAddress(address);
  if (ip === undefined || ip !== address) return false;
  // In loopback mode all Pods have addresses of these ranges.
  if (loopbackPodCidrs.length > 0) return loopbackPodCidrs.some((cidr) => cidrContains(cidr, ip));
  // An IPv4 address in IPv6's clothes would pass as none of these.
  if (ip.startsWith("::ffff:")) return false;
  return !(isUnspecified(ip) || isLoopback(ip) || isLinkLocalUnicast(ip) || isMulticast(ip));
}

/** APIS-005: by number, else the first port that a container declares, else 80. */
export function podTarget(
  pod: Pod,
  { scheme, port }: ProxyName,
  loopbackPodCidrs: readonly Cidr[],
): ProxyTarget {
  const [first] = pod.spec.containers.flatMap(({ ports }) => ports ?? []);
  const declared = first?.containerPort;
  const number = port === "" ? (declared ?? (scheme === "https" ? 443 : 80)) : Number(port);
  if (!isPort(number)) throw badRequest(`invalid port ${JSON.stringify(port)} in a pod's name`);
  const address = pod.status?.podIP ?? "";
  if (!isProxyable(address, loopbackPodCidrs)) throw badRequest("address not allowed");
  return { origin: `${scheme}://${formatHostPort(address, number)}` };
}

export interface ServiceBackends {
  readonly service: Service;
  readonly endpoints: Endpoints | undefined;
  readonly pod: (name: string) => Pod | undefined;
  readonly loopbackPodCidrs: readonly Cidr[];
  /** A number in [0, 1). */
  readonly random: () => number;
}

/**
 * APIS-007: a random ready address that belongs to a Pod of the namespace.
 * @throws StatusError 503 when there is none, or no such port; texts as upstream's.
 */
export function serviceTarget(
  asked: ProxyName,
  { service, endpoints, pod, loopbackPodCidrs, random }: ServiceBackends,
): ProxyTarget {
  const { scheme, name } = asked;
  const portName = servicePortName(service, asked);
  const subsets = endpoints?.subsets ?? [];
  if (subsets.length === 0) throw unavailable(`no endpoints available for service "${name}"`);
  const found = subsets.flatMap(({ addresses = [], ports = [] }) => {
    const port = ports.find((one) => (one.name ?? "") === portName)?.port;
    if (port === undefined) return [];
    return addresses.flatMap(({ ip, targetRef }) => {
      if (targetRef?.kind !== "Pod" || !isProxyable(ip, loopbackPodCidrs)) return [];
      const { podIP, podIPs } = pod(targetRef.name ?? "")?.status ?? {};
      const isItsOwn = podIP === ip || (podIPs ?? []).some((one) => one.ip === ip);
      return isItsOwn ? [{ ip, port }] : [];
    });
  });
  const chosen = found[Math.floor(random() * found.length)];
  if (chosen === undefined) throw unavailable(`no endpoints available for service "${asked.text}"`);
  return { origin: `${scheme}://${formatHostPort(chosen.ip, chosen.port)}` };
}

/** A port by its number or its name. */
function servicePortName({ spec }: Service, { name, port }: ProxyName): string {
  if (!/^\d+$/.test(port)) return port;
  const found = spec?.ports?.find((one) => one.port === Number(port));
  if (found === undefined) throw unavailable(`no service port ${port} found for service "${name}"`);
  return found.name ?? "";
}

/** The agent of a node, and nothing else on it. `base` is its URL. */
export function nodeTarget(node: KubernetesObject, asked: ProxyName, base: string): ProxyTarget {
  const { port } = asked;
  // The caller looks up Nodes.
  const agentPort = (node as Node).status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (port !== "" && Number(port) !== agentPort) {
    throw badRequest(
      `port ${port} of node ${asked.name} is not its agent's (${String(agentPort)}): only that one is proxied`,
    );
  }
  return { origin: base };
}

function isPort(number: number): boolean {
  return Number.isInteger(number) && number > 0 && number < 0x1_0000;
}

function unavailable(message: string): StatusError {
  return failure(503, "ServiceUnavailable", message);
}
