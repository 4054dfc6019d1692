import type { Pod } from "../../api/v1/pod.ts";
import type { IpAddress } from "../../net/address.ts";
import { parseNameServers } from "./resolv-conf.ts";

/** What a Pod sees of the cluster by files of its own. */
export interface PodSurroundings {
  readonly hostname: string;
  /** Content of /etc/resolv.conf. */
  readonly resolvConf: string;
  /** Content of /etc/hosts. */
  readonly hosts: string;
}

/** What Pods' names are resolved by. */
export interface PodResolver {
  /** The cluster's DNS server. */
  readonly clusterDns: IpAddress;
  readonly clusterDomain: string;
  /** The node's own resolv.conf. */
  readonly hostResolvConf: string;
}

/** Host names of the kernel have at most 64 characters (HOST_NAME_MAX), labels of DNS 63. */
const MAX_HOSTNAME = 64;
const MAX_LABEL = 63;

/** The files and the name of a Pod's own namespaces, for `podIps` with the primary address first. */
export function podSurroundings(
  pod: Pod,
  podIps: readonly string[],
  resolver: PodResolver,
): PodSurroundings {
  return {
    hostname: kernelHostnameOf(pod, resolver.clusterDomain),
    resolvConf: resolvConfOf(pod, resolver),
    hosts: hostsFileOf(pod, podIps, resolver.clusterDomain),
  };
}

/** `spec.hostname`, or the Pod's name, as far as a label goes (DNS-059). */
export function podHostname(pod: Pod): string {
  const { hostname = "" } = pod.spec;
  return (hostname === "" ? pod.metadata.name : hostname).slice(0, MAX_LABEL).replace(/[-.]+$/, "");
}

/** The name under which a headless Service of the subdomain's name lists the Pod; undefined without one. */
function podFqdn(pod: Pod, clusterDomain: string): string | undefined {
  const { subdomain = "" } = pod.spec;
  if (subdomain === "") return undefined;
  return `${podHostname(pod)}.${subdomain}.${pod.metadata.namespace ?? ""}.svc.${clusterDomain}`;
}

/** DNS-060: the whole name, if the Pod asks for it and the kernel takes it. */
function kernelHostnameOf(pod: Pod, clusterDomain: string): string {
  const { hostnameOverride = "", setHostnameAsFQDN } = pod.spec;
  if (hostnameOverride !== "") return hostnameOverride;
  const fqdn = setHostnameAsFQDN === true ? podFqdn(pod, clusterDomain) : undefined;
  return fqdn !== undefined && fqdn.length <= MAX_HOSTNAME ? fqdn : podHostname(pod);
}

interface Resolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** By name, so that a later one overrides an earlier one. */
  readonly options: ReadonlyMap<string, string | undefined>;
}

/** A resolv.conf(5) after the Pod's dnsPolicy (DNS-050, DNS-053, DNS-055, DNS-057, DNS-058). */
function resolvConfOf(pod: Pod, resolver: PodResolver): string {
  const { dnsConfig } = pod.spec;
  const base = baseOf(pod, resolver);
  const options = new Map(base.options);
  for (const { name = "", value } of dnsConfig?.options ?? []) options.set(name, value);
  const nameservers = unique([...base.nameservers, ...(dnsConfig?.nameservers ?? [])]);
  const searches = unique([...base.searches, ...(dnsConfig?.searches ?? [])]);
  const words = [...options].map(([name, value]) =>
    value === undefined ? name : `${name}:${value}`,
  );
  return [
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(searches.length === 0 ? [] : [`search ${searches.join(" ")}`]),
    ...(words.length === 0 ? [] : [`options ${words.join(" ")}`]),
    "",
  ].join("\n");
}

function baseOf(pod: Pod, { clusterDns, clusterDomain, hostResolvConf }: PodResolver): Resolver {
  const { dnsPolicy = "ClusterFirst", hostNetwork } = pod.spec;
  const host = hostResolver(hostResolvConf);
  if (dnsPolicy === "None") return { nameservers: [], searches: [], options: new Map() };
  if (dnsPolicy === "Default" || (dnsPolicy === "ClusterFirst" && hostNetwork === true))
    return host;
  const namespace = pod.metadata.namespace ?? "";
  const own = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return {
    nameservers: [clusterDns],
    searches: [...own, ...host.searches],
    options: new Map([["ndots", "5"]]),
  };
}

function hostResolver(text: string): Resolver {
  const lines = (keyword: string): readonly (readonly string[])[] =>
    text
      .split("\n")
      .filter((line) => line.startsWith(`${keyword} `) || line.startsWith(`${keyword}\t`))
      .map((line) => line.trim().split(/\s+/).slice(1));
  const options = lines("options")
    .flat()
    .map((word): [string, string | undefined] => {
      const [name = "", ...value] = word.split(":");
      return [name, value.length === 0 ? undefined : value.join(":")];
    });
  return {
    nameservers: parseNameServers(text),
    // The last line counts, as for the C library and the kubelet.
    searches: lines("search").at(-1) ?? [],
    options: new Map(options),
  };
}

/** DNS-052: the Pod's own names, what hosts files always have, and spec.hostAliases. */
function hostsFileOf(pod: Pod, podIps: readonly string[], clusterDomain: string): string {
  const fqdn = podFqdn(pod, clusterDomain);
  const names = [...(fqdn === undefined ? [] : [fqdn]), podHostname(pod)].join("\t");
  const aliases = (pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) =>
    [ip, ...hostnames].join("\t"),
  );
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "fe00::\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    ...podIps.map((ip) => `${ip}\t${names}`),
    ...aliases,
    "",
  ].join("\n");
}

function unique(words: readonly string[]): readonly string[] {
  return [...new Set(words)];
}
