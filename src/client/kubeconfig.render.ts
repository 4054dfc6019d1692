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

/**
 * The text of a kubeconfig with one context, which is current. Written by hand, since loading a YAML package
 * for it would cost every start some 30 ms; a JSON string is a YAML string.
 */
export function renderKubeconfig(content: KubeconfigContent): string {
  const name = JSON.stringify(content.name ?? "portolan");
  const user = JSON.stringify(content.user ?? "admin");
  const { namespace } = content;
  const lines = [
    "apiVersion: v1",
    "kind: Config",
    "clusters:",
    `- name: ${name}`,
    "  cluster:",
    `    server: ${JSON.stringify(content.server)}`,
    `    certificate-authority-data: ${base64(content.ca)}`,
    "users:",
    `- name: ${user}`,
    "  user:",
    `    client-certificate-data: ${base64(content.cert)}`,
    `    client-key-data: ${base64(content.key)}`,
    "contexts:",
    `- name: ${name}`,
    "  context:",
    `    cluster: ${name}`,
    `    user: ${user}`,
    ...(namespace === undefined ? [] : [`    namespace: ${JSON.stringify(namespace)}`]),
    `current-context: ${name}`,
  ];
  return `${lines.join("\n")}\n`;
}

function base64(pem: string): string {
  return Buffer.from(pem).toString("base64");
}
