import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import type { KubernetesObject } from "../../src/api/machinery/metadata.ts";
import { hasReason } from "../../src/api/machinery/status.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import type { Node } from "../../src/api/v1/node.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod, PodSpec } from "../../src/api/v1/pod.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service, ServiceSpec } from "../../src/api/v1/service.ts";
import type { ApiServer } from "../../src/apiserver/server.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { createEventRecorder } from "../../src/client/events.ts";
import type { EventRecorder } from "../../src/client/events.ts";
import type { Informers } from "../../src/client/informer.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { handsOver } from "../apiserver/hands-over.ts";
import { ADMIN, SILENT, startTestServer } from "../apiserver/test-server.ts";

export interface ControlPlane extends AsyncDisposable {
  readonly client: ApiClient;
  /** The API server itself, for others to reach it. */
  readonly handle: ApiServer["handle"];
  /** What a controller is started with. */
  readonly deps: {
    readonly client: ApiClient;
    readonly informers: Informers;
    readonly log: typeof SILENT;
    readonly events: EventRecorder;
  };
  /** Informers of their own, for a controller that starts anew. */
  freshInformers(): Informers;
  /** Resolves with the objects of a kind once they are as asked; the test runner's timeout is the limit. */
  until<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    holds: (objects: readonly T[]) => boolean,
  ): Promise<readonly T[]>;
  node(
    name: string,
    given?: { labels?: Record<string, string>; spec?: NonNullable<Node["spec"]> },
  ): Promise<void>;
  service(name: string, spec?: Partial<ServiceSpec>): Promise<Service>;
  pod(name: string, spec?: Partial<PodSpec>, labels?: Record<string, string>): Promise<Pod>;
  /** As a node agent does: address, phase and readiness. */
  report(pod: Pod, ready: boolean, ip?: string): Promise<Pod>;
  /** Deletes whatever there is of the name. */
  remove(kind: KindDefinition, name: string): Promise<void>;
}

const NOW = "2025-01-01T00:00:00Z";

/** A real API server in this process with a client and informers, and no controller yet. */
export async function startControlPlane(): Promise<ControlPlane> {
  const api = await startTestServer();
  // As in `portolan up`: controllers get the server's own objects.
  const transport = handsOver(api.server, ADMIN);
  const client = createClient({ transport, pageSize: 0 });
  const informers = createInformers({ client, log: SILENT, isShared: true });
  const others: Informers[] = [];
  const events = createEventRecorder({
    client,
    component: "test",
    host: "",
    now: Date.now,
    log: SILENT,
  });
  let addresses = 0;

  const reportPod: ControlPlane["report"] = (pod, ready, ip = pod.status?.podIP) => {
    addresses++;
    const podIP = ip ?? `10.1.${String(addresses >> 8)}.${String(addresses & 255)}`;
    const status = {
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: NOW }],
    };
    const patch = { kind: "strategic", body: { status } } as const;
    return client.patch(podKind, pod.metadata, patch, { subresource: "status" });
  };

  return {
    client,
    handle: (request, user) => api.server.handle(request, user),
    deps: { client, informers, log: SILENT, events },
    freshInformers() {
      const fresh = createInformers({ client, log: SILENT, isShared: true });
      others.push(fresh);
      return fresh;
    },
    until: (kind, holds) =>
      new Promise((resolve) => {
        const informer = informers.of(kind);
        const subscription: { current?: Disposable } = {};
        const look = (): void => {
          if (!informer.hasSynced || !holds(informer.list())) return;
          resolve(informer.list());
          // The first call comes before onChange returns.
          setImmediate(() => subscription.current?.[Symbol.dispose]());
        };
        subscription.current = informer.onChange(look);
        void informer.synced(new AbortController().signal).then(look); // never rejects: not aborted
      }),
    async node(name, given = {}) {
      await client.create(nodeKind, {
        metadata: { name, labels: given.labels ?? {} },
        spec: given.spec ?? {},
      });
      const condition = { type: "Ready", status: "True", lastHeartbeatTime: NOW };
      const patch = { kind: "strategic", body: { status: { conditions: [condition] } } } as const;
      await client.patch(nodeKind, { name }, patch, { subresource: "status" });
    },
    service: (name, spec = {}) =>
      client.create(serviceKind, {
        metadata: { name, namespace: "default" },
        spec: {
          selector: { app: name },
          ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
          ...spec,
        },
      }),
    pod: (name, spec = {}, labels = { app: "web" }) =>
      client.create(podKind, {
        metadata: { name, namespace: "default", labels },
        spec: { containers: [{ name: "main", image: "none" }], ...spec },
      }),
    report: reportPod,
    async remove(kind, name) {
      const ref = kind.namespaced ? { namespace: "default", name } : { name };
      try {
        await client.delete(kind, ref, { gracePeriodSeconds: 0 });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      await events[Symbol.asyncDispose]();
      for (const one of [informers, ...others]) await one[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}
