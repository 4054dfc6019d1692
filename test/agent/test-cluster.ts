import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf } from "../../src/api/machinery/object-key.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Container } from "../../src/api/v1/container.ts";
import type { Pod, PodSpec } from "../../src/api/v1/pod.ts";
import { startAgent } from "../../src/agent/agent.ts";
import type { Agent, AgentOptions } from "../../src/agent/agent.ts";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import type { ClusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import { createApiServer } from "../../src/apiserver/server.ts";
import type { ApiServer } from "../../src/apiserver/server.ts";
import { DEFAULT_NODE_PORT_RANGE } from "../../src/core/allocation/node-port-allocator.ts";
import type { ApiClient } from "../../src/client/client.ts";
import type { Informer, Informers } from "../../src/client/informer.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { EmbeddedStore } from "../../src/store/embedded/embedded.ts";
import { cidr } from "../apiserver/test-server.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

export const POD_CIDR = "127.81.0.0/24";
export const NODE_IP = "127.81.0.1";

const ADMIN = { name: "admin", groups: ["system:masters"] };
const log = createLogger({
  write: (line) => process.env["AGENT_TEST_LOG"] === undefined || process.stderr.write(line),
  level: "debug",
  format: "text",
  now: () => new Date(),
});

/** A real API server in this process, over a real store, and agents beside it. */
export interface TestCluster extends AsyncDisposable {
  readonly client: ApiClient;
  readonly api: ApiServer;
  readonly certificates: ClusterCertificates;
  readonly dataDir: string;
  /** Where the API listens, for agents in other processes. */
  readonly url: string;
  readonly pods: Informer<Pod>;
  startAgent(options?: Partial<AgentOptions>): Promise<Agent>;
  /** Creates a Pod on the node `local`. */
  run(name: string, container: Omit<Container, "name">, spec?: Partial<PodSpec>): Promise<Pod>;
  /** Resolves with the Pod when it is as asked; the test runner's timeout is the limit. */
  until(pod: Pod, holds: (pod: Pod) => boolean): Promise<Pod>;
  /** Resolves when the Pod is gone from the API. */
  gone(pod: Pod): Promise<void>;
}

export async function startTestCluster(): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), "agent-test-"));
  const dataDir = join(directory, "agent");
  const store = await EmbeddedStore.open({ dir: join(directory, "store") });
  const certificates = await clusterCertificates({
    dir: undefined,
    apiServerNames: [],
    agentNames: [NODE_IP],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const { authority, agentClient, agent } = certificates;
  const api = await createApiServer({
    store,
    kinds: KINDS,
    log,
    serviceCidrs: [cidr("127.80.0.0/24")],
    nodePortRange: DEFAULT_NODE_PORT_RANGE,
    agentTls: { ca: authority, certificate: agentClient.certificate, key: agentClient.key },
    version: "0.0.0",
  });
  const listener = await listen({
    address: "127.0.0.1",
    port: 0,
    tls: {
      key: certificates.apiServer.key,
      cert: certificates.apiServer.certificate,
      clientCa: authority,
    },
    handler: (request, user) => api.handle(request, user),
    log,
  });
  const client = createClient({ transport: (request) => api.handle(request, ADMIN) });
  const informers: Informers = createInformers({ client, log });
  const pods = informers.of(podKind);
  const agents: Agent[] = [];

  const wait = (pod: Pod, holds: (now: Pod | undefined) => boolean): Promise<Pod | undefined> =>
    new Promise((resolve) => {
      const key = keyOf(pod);
      const subscription: { current?: Disposable } = {};
      const look = (now: Pod | undefined): void => {
        if (!holds(now)) return;
        resolve(now);
        // The first call comes before onChange returns.
        setImmediate(() => subscription.current?.[Symbol.dispose]());
      };
      subscription.current = pods.onChange((change) => {
        if (change.key === key) look(change.after);
      });
      look(pods.get(key));
    });

  return {
    client,
    api,
    certificates,
    dataDir,
    url: `https://127.0.0.1:${String(listener.port)}`,
    pods,
    async startAgent(options = {}) {
      const started = await startAgent(
        { client, informers, log },
        {
          dataDir,
          podCidr: cidr(POD_CIDR),
          tls: { cert: agent.certificate, key: agent.key, ca: authority },
          stopPodsOnExit: true,
          exitGraceMs: 1000,
          version: "v1.34.0",
          ...options,
        },
      );
      agents.push(started);
      return started;
    },
    run: (name, container, spec = {}) =>
      client.create(podKind, {
        metadata: { name, namespace: "default" },
        spec: {
          nodeName: "local",
          terminationGracePeriodSeconds: 1,
          ...spec,
          containers: [{ name: "main", ...container }],
        },
      }),
    async until(pod, holds) {
      const found = await wait(
        pod,
        (now) => now !== undefined && now.metadata.uid === pod.metadata.uid && holds(now),
      );
      if (found === undefined) throw new Error("the pod is gone");
      return found;
    },
    async gone(pod) {
      await wait(pod, (now) => now?.metadata.uid !== pod.metadata.uid);
    },
    async [Symbol.asyncDispose]() {
      for (const started of agents) await started[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
}
