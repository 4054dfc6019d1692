import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { KubeconfigError, tokenFromFile } from "./client-config.ts";
import type { ClientConfig } from "./client-config.ts";

/** Ways to log in that need a program or plug-in of others; we say so instead of failing with 401. */
const REFUSED_USER_FIELDS: Readonly<Record<string, string>> = {
  exec: "runs a credential plug-in (exec)",
  "auth-provider": "uses a legacy auth provider (auth-provider)",
  username: "uses basic authentication, which Kubernetes dropped in 1.19 (username)",
  password: "uses basic authentication, which Kubernetes dropped in 1.19 (password)",
  as: "impersonates somebody else (as)",
};

type Section = Readonly<Record<string, unknown>>;

export interface KubeconfigOptions {
  /** Default is the file's current-context. */
  readonly context?: string | undefined;
}

/** Where kubectl looks: the files of $KUBECONFIG, else ~/.kube/config. */
export function kubeconfigPaths(
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const listed = (env["KUBECONFIG"] ?? "").split(":").filter((path) => path !== "");
  return listed.length > 0 ? listed : [join(env["HOME"] ?? "", ".kube", "config")];
}

/**
 * Reads the kubeconfig files; of several definitions of one name the first counts, as for kubectl. Of several
 * files those that do not exist are left out.
 * @throws KubeconfigError that names the file and what is missing or not supported.
 */
export async function loadKubeconfig(
  paths: readonly string[],
  options: KubeconfigOptions = {},
): Promise<ClientConfig> {
  const files: File[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (isMissing && paths.length > 1) return undefined;
      throw new KubeconfigError(`kubeconfig ${path} cannot be read`, { cause: error });
    });
    if (text !== undefined) files.push(await parseFile(path, text));
  }
  if (files.length === 0) throw new KubeconfigError(`no kubeconfig in ${paths.join(", ")}`);
  return configOf(files, options);
}

interface File {
  readonly path: string;
  readonly root: Section;
}

async function parseFile(path: string, text: string): Promise<File> {
  let root: unknown;
  try {
    root = parseJson(text) ?? (await parseYaml(text));
  } catch (error) {
    throw new KubeconfigError(`kubeconfig ${path} is not YAML`, { cause: error });
  }
  if (!isSection(root)) throw new KubeconfigError(`kubeconfig ${path} is empty or not a mapping`);
  return { path, root };
}

/** Undefined when it is other YAML. */
function parseJson(text: string): unknown {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function parseYaml(text: string): Promise<unknown> {
  // Not needed by a cluster that starts without such files, and slow to load.
  const { parse } = await import("yaml");
  return parse(text);
}

async function configOf(files: readonly File[], options: KubeconfigOptions): Promise<ClientConfig> {
  const where = files.map((file) => file.path).join(", ");
  const current =
    options.context ?? files.map((f) => text(f.root, "current-context")).find(Boolean);
  if (!current)
    throw new KubeconfigError(`kubeconfig ${where} has no current-context; name a context`);

  const context = find(files, "contexts", "context", current);
  const cluster = find(files, "clusters", "cluster", text(context.section, "cluster") ?? "");
  const server = text(cluster.section, "server");
  if (server === undefined) {
    throw new KubeconfigError(`kubeconfig ${cluster.path}: ${cluster.what} has no server`);
  }
  if (cluster.section["proxy-url"] !== undefined) {
    throw new KubeconfigError(
      `kubeconfig ${cluster.path}: ${cluster.what} needs a proxy (proxy-url), which is not supported`,
    );
  }
  const userName = text(context.section, "user");
  // A context may have no user: plain HTTP behind `kubectl proxy`.
  const user = userName === undefined ? undefined : find(files, "users", "user", userName);
  return {
    server,
    namespace: text(context.section, "namespace") ?? "default",
    ca: await material(cluster, "certificate-authority"),
    insecureSkipTlsVerify: cluster.section["insecure-skip-tls-verify"] === true,
    tlsServerName: text(cluster.section, "tls-server-name"),
    ...(user === undefined ? {} : await credentials(user)),
  };
}

async function credentials(
  user: Entry,
): Promise<Pick<ClientConfig, "cert" | "key" | "bearerToken">> {
  for (const [field, what] of Object.entries(REFUSED_USER_FIELDS)) {
    if (user.section[field] === undefined) continue;
    throw new KubeconfigError(
      `kubeconfig ${user.path}: ${user.what} ${what}, which is not supported; ` +
        "use a client certificate or a token",
    );
  }
  const cert = await material(user, "client-certificate");
  const key = await material(user, "client-key");
  if ((cert === undefined) !== (key === undefined)) {
    const [has, lacks] =
      cert === undefined
        ? ["client-key", "client-certificate"]
        : ["client-certificate", "client-key"];
    throw new KubeconfigError(`kubeconfig ${user.path}: ${user.what} has a ${has} and no ${lacks}`);
  }
  // The file wins over the text, as in client-go: it is the one that is kept fresh.
  const tokenFile = text(user.section, "tokenFile");
  const token = text(user.section, "token");
  const bearerToken =
    tokenFile !== undefined
      ? tokenFromFile(resolvePath(user.path, tokenFile))
      : token === undefined
        ? undefined
        : () => Promise.resolve(token);
  return { cert, key, bearerToken };
}

interface Entry {
  readonly path: string;
  /** For messages: `user "admin"`. */
  readonly what: string;
  readonly section: Section;
}

function find(files: readonly File[], list: string, kind: string, name: string): Entry {
  const what = `${kind} ${JSON.stringify(name)}`;
  for (const { path, root } of files) {
    const entries: unknown = root[list];
    if (!Array.isArray(entries)) continue;
    for (const entry of entries as unknown[]) {
      if (!isSection(entry) || entry["name"] !== name) continue;
      const section = entry[kind];
      // `user:` with nothing after it is a user without credentials.
      return { path, what, section: isSection(section) ? section : {} };
    }
  }
  const where = files.map((file) => file.path).join(", ");
  throw new KubeconfigError(`kubeconfig ${where} has no ${what}`);
}

/** PEM from `<field>-data` (base64, which wins) or from the file that `<field>` names. */
async function material(entry: Entry, field: string): Promise<string | undefined> {
  const data = text(entry.section, `${field}-data`);
  if (data !== undefined) {
    const pem = Buffer.from(data, "base64").toString("utf8");
    if (pem.includes("-----BEGIN ")) return pem;
    throw new KubeconfigError(
      `kubeconfig ${entry.path}: ${field}-data of ${entry.what} is not base64 of PEM`,
    );
  }
  const file = text(entry.section, field);
  if (file === undefined) return undefined;
  try {
    return await readFile(resolvePath(entry.path, file), "utf8");
  } catch (error) {
    throw new KubeconfigError(
      `kubeconfig ${entry.path}: ${field} of ${entry.what} cannot be read from ${file}`,
      { cause: error },
    );
  }
}

/** Paths in a kubeconfig are relative to it. */
function resolvePath(kubeconfig: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(kubeconfig), path);
}

function text(section: Section, field: string): string | undefined {
  const value = section[field];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
