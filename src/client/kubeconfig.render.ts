export interface KubeconfigContent {
  /** `https://host:port`. */
  readonly server: string;
  /** PEM each. The result holds the key: write it for its owner only (0600). */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Of cluster and context; default `portolan`. */
  readonly name?: string | undefined;
  /** Of the user; default `admin`. */
  readonly user?: string | undefined;
  readonly namespace?: string | undefined;
}

/** The text of a kubeconfig with one context, which is current, for people and programs. */
export function renderKubeconfig(content: KubeconfigContent): string {
  return `${yamlLines(kubeconfigOf(content)).join("\n")}\n`;
}

/** The same as JSON, which all that read YAML read too: {@link loadKubeconfig} needs no package for it. */
export function renderKubeconfigJson(content: KubeconfigContent): string {
  return JSON.stringify(kubeconfigOf(content));
}

type Section = { readonly [key: string]: string | Section | readonly Section[] };

function kubeconfigOf(content: KubeconfigContent): Section {
  const { name = "portolan", user = "admin", namespace, server } = content;
  const cluster = { server, "certificate-authority-data": base64(content.ca) };
  const credentials = {
    "client-certificate-data": base64(content.cert),
    "client-key-data": base64(content.key),
  };
  const context = { cluster: name, user, ...(namespace === undefined ? {} : { namespace }) };
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster }],
    users: [{ name: user, user: credentials }],
    contexts: [{ name, context }],
    "current-context": name,
  };
}

/** Written by hand, since loading a YAML package would cost every start some 30 ms; a JSON string is a YAML string. */
function yamlLines(section: Section): readonly string[] {
  return Object.entries(section).flatMap(([key, value]) => {
    if (typeof value === "string") return [`${key}: ${JSON.stringify(value)}`];
    if (!isList(value)) return [`${key}:`, ...yamlLines(value).map((line) => `  ${line}`)];
    const items = value.flatMap((item) =>
      yamlLines(item).map((line, i) => `${i === 0 ? "-" : " "} ${line}`),
    );
    return [`${key}:`, ...items];
  });
}

/** `Array.isArray` does not know readonly arrays. */
function isList(value: Section | readonly Section[]): value is readonly Section[] {
  return Array.isArray(value);
}

function base64(pem: string): string {
  return Buffer.from(pem).toString("base64");
}
