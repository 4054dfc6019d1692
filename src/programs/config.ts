import { parseNodePortRange } from "../core/allocation/node-port-allocator.ts";
import type { NodePortRange } from "../core/allocation/node-port-allocator.ts";
import { isLoopback } from "../net/address.ts";
import {
  cidrAddress,
  cidrBits,
  cidrContains,
  cidrFamily,
  cidrSize,
  cidrsOverlap,
  parseCidr,
} from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { parseHostPort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { IpAddress } from "../net/address.ts";
import { dnsSubdomainProblems } from "../net/names.ts";

/** The code of a {@link ConfigError}. */
export const CONFIG_ERROR = "CONFIG";

/** A setting that cannot be used; the message names it and says what would do. */
export class ConfigError extends Error {
  readonly code = CONFIG_ERROR;

  constructor(setting: string, value: unknown, expected: string) {
    super(`${setting}: ${JSON.stringify(value)} ${expected}`);
    this.name = "ConfigError";
  }
}

export interface ListenAddress {
  readonly address: IpAddress;
  /** 0 takes a free one. */
  readonly port: Port;
}

/** A program that runs in the place of a container image. */
export interface ImageProgram {
  readonly command: readonly string[];
}

/** What `portolan up` is to do, checked. */
export interface ClusterConfig {
  /** Undefined: a temporary folder, removed at the end. */
  readonly dataDir: string | undefined;
  readonly apiListen: ListenAddress;
  readonly dnsListen: ListenAddress;
  /** Where DNS over TLS listens; undefined: nowhere. */
  readonly dnsTlsListen: ListenAddress | undefined;
  /** Undefined: `admin.kubeconfig` in the data folder. */
  readonly kubeconfig: string | undefined;
  /** Undefined: this instance's slice of 127.96.0.0/12. */
  readonly serviceCidr: Cidr | undefined;
  /** Undefined: this instance's slice of 127.112.0.0/12. */
  readonly podCidr: Cidr | undefined;
  readonly clusterDomain: string;
  readonly nodePortRange: NodePortRange;
  /** Nobody may add external IPs to Services. */
  readonly denyServiceExternalIps: boolean;
  /** File that gets a line of JSON for each request; undefined: none. */
  readonly auditLog: string | undefined;
  /** Files and folders of manifests, applied at start. */
  readonly manifests: readonly string[];
  readonly images: Readonly<Record<string, ImageProgram>>;
}

/** Settings as text, from flags or a file; what is undefined takes its default. */
export interface RawConfig {
  readonly dataDir?: string | undefined;
  readonly ephemeral?: boolean | undefined;
  readonly apiListen?: string | undefined;
  readonly dnsListen?: string | undefined;
  readonly dnsTlsListen?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly serviceCidr?: string | undefined;
  readonly podCidr?: string | undefined;
  readonly clusterDomain?: string | undefined;
  readonly nodePortRange?: string | undefined;
  readonly denyServiceExternalIps?: boolean | undefined;
  readonly auditLog?: string | undefined;
  readonly manifests?: readonly string[] | undefined;
  readonly images?: Readonly<Record<string, ImageProgram>> | undefined;
}

/**
 * Checks settings and fills in defaults. `nameOf` gives the name that the user knows a setting by, such as
 * `--api-listen`.
 * @throws ConfigError for the first setting that cannot be used.
 */
export function parseClusterConfig(
  raw: RawConfig,
  defaults: { readonly dataDir: string; readonly images: Readonly<Record<string, ImageProgram>> },
  nameOf: (setting: keyof RawConfig) => string,
): ClusterConfig {
  if (raw.ephemeral === true && raw.dataDir !== undefined) {
    throw new ConfigError(nameOf("ephemeral"), true, `and ${nameOf("dataDir")} exclude each other`);
  }
  const serviceCidr = parseRange(raw.serviceCidr, nameOf("serviceCidr"));
  const podCidr = parseRange(raw.podCidr, nameOf("podCidr"));
  if (serviceCidr !== undefined && podCidr !== undefined && cidrsOverlap(serviceCidr, podCidr)) {
    throw new ConfigError(
      nameOf("podCidr"),
      podCidr,
      `overlaps ${nameOf("serviceCidr")} ${serviceCidr}`,
    );
  }
  return {
    dataDir: raw.ephemeral === true ? undefined : (raw.dataDir ?? defaults.dataDir),
    apiListen: parseListen(raw.apiListen ?? "127.0.0.1:6443", nameOf("apiListen")),
    dnsListen: parseListen(raw.dnsListen ?? "127.0.0.1:10053", nameOf("dnsListen")),
    dnsTlsListen:
      raw.dnsTlsListen === undefined
        ? undefined
        : parseListen(raw.dnsTlsListen, nameOf("dnsTlsListen")),
    kubeconfig: raw.kubeconfig,
    serviceCidr,
    podCidr,
    clusterDomain: parseDomain(raw.clusterDomain ?? "cluster.local", nameOf("clusterDomain")),
    nodePortRange: parsePortRange(raw.nodePortRange ?? "30000-32767", nameOf("nodePortRange")),
    denyServiceExternalIps: raw.denyServiceExternalIps ?? false,
    auditLog: raw.auditLog,
    manifests: raw.manifests ?? [],
    images: { ...defaults.images, ...raw.images },
  };
}

/** @throws ConfigError that names the setting. */
export function parseListen(text: string, setting: string): ListenAddress {
  const parsed = parseHostPort(text);
  if (parsed === undefined) {
    throw new ConfigError(
      setting,
      text,
      "is not IP:PORT, such as 127.0.0.1:6443 (port 0 takes a free one)",
    );
  }
  return parsed;
}

/** A range for loopback mode: only there can a user without privileges bind addresses. */
function parseRange(text: string | undefined, setting: string): Cidr | undefined {
  if (text === undefined) return undefined;
  if (text.includes(",")) {
    throw new ConfigError(
      setting,
      text,
      "names two families; loopback mode has only IPv4 addresses to give, since ::1 is a single one",
    );
  }
  const cidr = parseCidr(text);
  if (cidr === undefined)
    throw new ConfigError(setting, text, "is not a CIDR, such as 127.96.0.0/16");
  const first = cidrAddress(cidr, 0n);
  const last = cidrAddress(cidr, cidrSize(cidr) - 1n);
  if (cidrFamily(cidr) !== "IPv4" || !isLoopback(first) || !isLoopback(last)) {
    throw new ConfigError(
      setting,
      text,
      "is outside 127.0.0.0/8, which is what can be bound without root",
    );
  }
  if (cidrBits(cidr) < 12 || cidrBits(cidr) > 28) {
    throw new ConfigError(setting, text, "must have a prefix length of 12 to 28");
  }
  const localhost = cidrAddress(cidr, 0n).startsWith("127.0.");
  if (localhost && cidrContains(cidr, cidrAddress(cidr, 1n))) {
    throw new ConfigError(
      setting,
      text,
      "holds addresses of 127.0.0.0/16, which the machine itself uses",
    );
  }
  return cidr;
}

/** @throws ConfigError that names the setting. */
export function parseDomain(text: string, setting: string): string {
  const domain = text.endsWith(".") ? text.slice(0, -1) : text;
  if (dnsSubdomainProblems(domain).length > 0) {
    throw new ConfigError(
      setting,
      text,
      "is not a domain name in lower case, such as cluster.local",
    );
  }
  return domain;
}

function parsePortRange(text: string, setting: string): NodePortRange {
  const range = parseNodePortRange(text);
  if (range === undefined) {
    throw new ConfigError(setting, text, "is not a range of ports A-B, such as 30000-32767");
  }
  return range;
}
