import type { Socket } from "node:net";
import { clusterCertificates } from "../apiserver/certificates.ts";
import type { ClusterCertificates } from "../apiserver/certificates.ts";
import type { User } from "../apiserver/exchange.ts";
import { listen } from "../apiserver/http.ts";
import { createApiServer } from "../apiserver/server.ts";
import type { ApiServerDeps } from "../apiserver/server.ts";
import type { Disposables } from "../async/disposables.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { createClient } from "../client/rest.ts";
import { createInformers } from "../client/shared-informers.ts";
import { EmbeddedStore } from "../store/embedded/embedded.ts";
import type { Logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import type { ListenAddress } from "./config.ts";
import { programVersion } from "./version.ts";

/** The parts of this process as one user: they meet in the API like any other client. */
const PARTS: User = { name: "system:portolan", groups: ["system:masters", "system:authenticated"] };

/** Whether a user is the process itself. */
export function isOwnUser(user: User): boolean {
  return user === PARTS;
}

type ServerSettings = Pick<
  ApiServerDeps,
  | "kinds"
  | "serviceCidrs"
  | "nodePortRange"
  | "loopbackPodCidrs"
  | "loopbackWriters"
  | "denyServiceExternalIps"
  | "audit"
>;

export interface ServeApiOptions extends ServerSettings {
  readonly listen: ListenAddress;
  readonly clusterDomain: string;
  readonly storeDir: string;
  readonly certificatesDir: string;
  /** Names and addresses that clients know the server by. */
  readonly apiServerNames: readonly string[];
  /** The same of the nodes' agents. */
  readonly agentNames: readonly string[];
}

/** An API server of this process, and the ways to it for its parts. */
export interface ServedApi {
  readonly certificates: ClusterCertificates;
  readonly port: number;
  /** Serves a connection that came in elsewhere than at `listen`. */
  readonly accept: (connection: Socket) => void;
  /** For loops of this process: they take the server's own objects, so that each is in memory once, and leave them alone. */
  readonly own: ApiClient;
  readonly informers: Informers;
  /** For all others, who get objects of their own. */
  readonly client: ApiClient;
  readonly metrics: Metrics;
}

/**
 * Opens the store, makes or reads certificates, and serves the API on `listen`.
 * @param opened takes what must be closed in the end.
 */
export async function serveApi(
  options: ServeApiOptions,
  deps: { readonly log: Logger },
  opened: Disposables,
): Promise<ServedApi> {
  const { listen: where, clusterDomain, storeDir, certificatesDir, ...rest } = options;
  const { apiServerNames, agentNames, ...settings } = rest;
  const [store, certificates] = await Promise.all([
    EmbeddedStore.open({ dir: storeDir }).then((opening) => opened.add(opening)),
    clusterCertificates({
      dir: certificatesDir,
      apiServerNames,
      agentNames,
      clusterDomain,
      now: Date.now,
    }),
  ]);
  const { authority, apiServer, agentClient } = certificates;
  const metrics = new Metrics();
  const log = deps.log.with({ component: "apiserver" });
  const server = opened.add(
    await createApiServer({
      ...settings,
      store,
      log,
      serviceAccountAdmission: true,
      agentTls: { ca: authority, certificate: agentClient.certificate, key: agentClient.key },
      keysDir: certificatesDir,
      tokenIssuer: `https://kubernetes.default.svc.${clusterDomain}`,
      version: programVersion(),
      metrics,
      renderMetrics: () => metrics.render(),
    }),
  );
  const { port, accept } = opened.add(
    await listen({
      ...where,
      tls: { key: apiServer.key, cert: apiServer.certificate, clientCa: authority },
      handler: (request, user) => server.handle(request, user),
      log,
    }),
  );
  await server.publish({ address: where.address, port });
  const own = createClient({
    transport: (request) => server.handle({ ...request, takesObjects: true }, PARTS),
    pageSize: 0,
  });
  const shared = { client: own, log: deps.log, metrics, isShared: true };
  return {
    certificates,
    port,
    accept,
    own,
    informers: opened.add(createInformers(shared)),
    client: createClient({ transport: (request) => server.handle(request, PARTS) }),
    metrics,
  };
}
