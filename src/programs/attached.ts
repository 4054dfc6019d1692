import { inClusterConfig, KubeconfigError } from "../client/client-config.ts";
import type { ApiClient } from "../client/client.ts";
import { createHttpTransport } from "../client/http-transport.ts";
import type { Informers } from "../client/informer.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { createClient } from "../client/rest.ts";
import { createInformers } from "../client/shared-informers.ts";
import type { InformersDeps } from "../client/shared-informers.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Disposables } from "../async/disposables.ts";
import { programVersion } from "./version.ts";

/** A connection to an API server that somebody else runs. */
export interface Attached extends AsyncDisposable {
  readonly client: ApiClient;
  readonly informers: Informers;
  /** URL of the API server. */
  readonly server: string;
}

export interface AttachOptions {
  /** A kubeconfig file; undefined: what a Pod finds in its environment. */
  readonly kubeconfig: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Name of the part, for the server's logs. */
  readonly part: string;
  /** What the part's informers keep of an object; default all but managed fields. */
  readonly transform?: InformersDeps["transform"];
}

/**
 * For a part that runs alone against any Kubernetes API.
 * @throws KubeconfigError when there is no usable configuration; the server itself is not asked.
 */
export async function attach(
  options: AttachOptions,
  deps: { readonly log: Logger; readonly metrics: Metrics },
): Promise<Attached> {
  const { kubeconfig, env, part } = options;
  const config =
    kubeconfig === undefined ? await inClusterConfig(env) : await loadKubeconfig([kubeconfig]);
  if (config === undefined) {
    throw new KubeconfigError("no API server: give --kubeconfig FILE, or run in a cluster's Pod");
  }
  const { log, metrics } = deps;
  const opened = new Disposables();
  const http = opened.add(createHttpTransport(config));
  const userAgent = `portolan-${part}/${programVersion()}`;
  const client = createClient({ transport: http.transport, userAgent, log });
  const { transform } = options;
  const informers = opened.add(createInformers({ client, log, metrics, transform }));
  return {
    client,
    informers,
    server: config.server,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
