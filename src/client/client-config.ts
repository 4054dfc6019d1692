import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { HttpTransportOptions } from "./http-transport.ts";

/** How to reach an API server, and as whom; what {@link createHttpTransport} takes, and the namespace. */
export interface ClientConfig extends HttpTransportOptions {
  /** Where namespaced things are looked for when no namespace is named. */
  readonly namespace: string;
}

/** A kubeconfig cannot be used; the message names the file and what is missing. */
export class KubeconfigError extends Error {
  readonly code = "KUBECONFIG";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "KubeconfigError";
  }
}

/** Service account tokens are replaced on disk well before they end; client-go also looks once a minute. */
const TOKEN_REREAD_MS = 60_000;

/** The token in a file, read again when it is older than a minute. */
export function tokenFromFile(
  path: string,
  now: () => number = () => performance.now(),
): () => Promise<string> {
  let token: string | undefined;
  let readAtMs = 0;
  return async () => {
    if (token === undefined || now() - readAtMs >= TOKEN_REREAD_MS) {
      token = (await readFile(path, "utf8")).trim();
      readAtMs = now();
    }
    return token;
  };
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What every Pod finds in its environment and file system; undefined when this is not in a cluster. */
export async function inClusterConfig(
  env: Readonly<Record<string, string | undefined>>,
  directory = SERVICE_ACCOUNT,
): Promise<ClientConfig | undefined> {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (!host || !port) return undefined;
  const tokenFile = join(directory, "token");
  const bearerToken = tokenFromFile(tokenFile);
  try {
    await bearerToken();
    return {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      ca: await readFile(join(directory, "ca.crt"), "utf8"),
      bearerToken,
      namespace: (await readFile(join(directory, "namespace"), "utf8")).trim(),
    };
  } catch (error) {
    throw new KubeconfigError(
      `KUBERNETES_SERVICE_HOST is set, but the service account in ${directory} cannot be read`,
      { cause: error },
    );
  }
}
