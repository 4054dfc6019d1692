import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { bundledImages } from "../programs/bundled.ts";
import { ConfigError, parseClusterConfig } from "../programs/config.ts";
import type { ClusterConfig, ImageProgram, RawConfig } from "../programs/config.ts";
import type { CommandContext, FlagSpec, FlagValues } from "./command.ts";
import { UsageError } from "./command.ts";
import { textFlag } from "./flags.ts";

/** The flags of every command that starts a cluster. Each can also stand in the file given by --config. */
export const CLUSTER_FLAGS = {
  config: {
    type: "string",
    value: "FILE",
    description: "YAML file with any of these settings, in camelCase; flags win.",
  },
  "data-dir": {
    type: "string",
    value: "DIR",
    description: "Where everything is kept. Default $XDG_STATE_HOME/portolan.",
  },
  ephemeral: {
    type: "boolean",
    description: "Keep everything in a temporary folder, removed at the end.",
  },
  "api-listen": {
    type: "string",
    value: "IP:PORT",
    description:
      "Where the Kubernetes API listens. Default 127.0.0.1:6443; port 0 takes a free one.",
  },
  "dns-listen": {
    type: "string",
    value: "IP:PORT",
    description: "Where DNS listens, UDP and TCP. Default 127.0.0.1:10053.",
  },
  "dns-tls-listen": {
    type: "string",
    value: "IP:PORT",
    description:
      "Where DNS over TLS listens, certified by the cluster's authority. Default nowhere.",
  },
  kubeconfig: {
    type: "string",
    value: "FILE",
    description: "Where to write the admin's kubeconfig. Default admin.kubeconfig in the data dir.",
  },
  "service-cidr": {
    type: "string",
    value: "CIDR",
    description: "Cluster IPs. Default a free /16 of 127.96.0.0/12.",
  },
  "pod-cidr": {
    type: "string",
    value: "CIDR",
    description: "Pod IPs. Default a free /16 of 127.112.0.0/12.",
  },
  "cluster-domain": { type: "string", value: "NAME", description: "Default cluster.local." },
  "node-port-range": { type: "string", value: "A-B", description: "Default 30000-32767." },
  "deny-service-external-ips": {
    type: "boolean",
    description: "Refuse new spec.externalIPs of Services (admission DenyServiceExternalIPs).",
  },
  "audit-log": {
    type: "string",
    value: "FILE",
    description: "Append a line of JSON for each request: who did what, and how it ended.",
  },
  filename: {
    type: "strings",
    short: "f",
    value: "FILE|DIR",
    description: "Manifests to apply at start; may be repeated.",
  },
} as const satisfies Readonly<Record<string, FlagSpec>>;

/** The flag, and in a file the key, of each setting. */
const FLAG_OF: Readonly<Record<keyof RawConfig, string>> = {
  dataDir: "data-dir",
  ephemeral: "ephemeral",
  apiListen: "api-listen",
  dnsListen: "dns-listen",
  dnsTlsListen: "dns-tls-listen",
  kubeconfig: "kubeconfig",
  serviceCidr: "service-cidr",
  podCidr: "pod-cidr",
  clusterDomain: "cluster-domain",
  nodePortRange: "node-port-range",
  denyServiceExternalIps: "deny-service-external-ips",
  auditLog: "audit-log",
  manifests: "filename",
  images: "config (images)",
};

/**
 * The settings of a command line and its configuration file, checked; `preset` stands where neither says.
 * @throws ConfigError or UsageError that names the setting, or the file and its key.
 */
export async function clusterConfigOf(
  context: CommandContext,
  flags: FlagValues,
  preset: RawConfig,
): Promise<ClusterConfig> {
  const path = flags["config"];
  const fromFile = typeof path === "string" ? await readConfigFile(path) : {};
  const fromFlags = settingsOf(flags);
  const isFlag = (setting: keyof RawConfig): boolean => fromFlags[setting] !== undefined;
  // Where things are kept is one decision of two settings: it comes whole from the first that says it.
  const { dataDir, ephemeral } =
    [fromFlags, fromFile].find((c) => c.dataDir !== undefined || c.ephemeral !== undefined) ??
    preset;
  const xdgStateHome = context.env["XDG_STATE_HOME"] ?? "";
  // The XDG specification: empty is as good as unset, and a relative path is to be ignored.
  const stateHome = isAbsolute(xdgStateHome) ? xdgStateHome : join(homedir(), ".local", "state");
  return parseClusterConfig(
    { ...preset, ...fromFile, ...fromFlags, dataDir, ephemeral },
    { dataDir: join(stateHome, "portolan"), images: bundledImages() },
    (setting) =>
      isFlag(setting) || typeof path !== "string" ? `--${FLAG_OF[setting]}` : `${path}: ${setting}`,
  );
}

function settingsOf(flags: FlagValues): RawConfig {
  const text = (name: string): string | undefined => textFlag(flags, name);
  const files = flags["filename"];
  const settings = {
    dataDir: text("data-dir"),
    ephemeral: flags["ephemeral"] === true ? true : undefined,
    apiListen: text("api-listen"),
    dnsListen: text("dns-listen"),
    dnsTlsListen: text("dns-tls-listen"),
    kubeconfig: text("kubeconfig"),
    serviceCidr: text("service-cidr"),
    podCidr: text("pod-cidr"),
    clusterDomain: text("cluster-domain"),
    nodePortRange: text("node-port-range"),
    denyServiceExternalIps: flags["deny-service-external-ips"] === true ? true : undefined,
    auditLog: text("audit-log"),
    manifests: Array.isArray(files) ? files.map(String) : undefined,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

async function readConfigFile(path: string): Promise<RawConfig> {
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new UsageError(
      `--config: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new UsageError(
      `--config: ${path} is not a mapping of settings, such as "apiListen: 127.0.0.1:6443"`,
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, setting]) => [key, checked(path, key, setting)]),
  );
}

/** One setting of the file, if it has the type that the setting has. */
function checked(path: string, key: string, value: unknown): unknown {
  if (key === "ephemeral" || key === "denyServiceExternalIps") {
    if (typeof value === "boolean") return value;
    throw new ConfigError(`${path}: ${key}`, value, "is not true or false");
  }
  if (key === "manifests") {
    if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return value;
    throw new ConfigError(`${path}: ${key}`, value, "is not a list of files and folders");
  }
  if (key === "images") return checkedImages(path, value);
  if (!Object.hasOwn(FLAG_OF, key)) {
    const known = Object.keys(FLAG_OF).join(", ");
    throw new UsageError(`${path}: no setting ${JSON.stringify(key)}; there are ${known}`);
  }
  if (typeof value === "string") return value;
  throw new ConfigError(`${path}: ${key}`, value, "is not text");
}

function checkedImages(path: string, value: unknown): Readonly<Record<string, ImageProgram>> {
  const isProgram = (program: unknown): program is ImageProgram =>
    typeof program === "object" &&
    program !== null &&
    "command" in program &&
    Array.isArray(program.command) &&
    program.command.length > 0 &&
    program.command.every((word) => typeof word === "string");
  const images: Record<string, ImageProgram> = {};
  for (const [image, program] of Object.entries(value ?? {})) {
    if (!isProgram(program)) {
      throw new ConfigError(
        `${path}: images: ${image}`,
        program,
        'is not {"command": ["PROGRAM", "ARGUMENT", ...]}',
      );
    }
    images[image] = program;
  }
  return images;
}
