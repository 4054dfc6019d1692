import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import type { Endpoint } from "../../src/api/discovery/endpointslice.ts";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import type { Event } from "../../src/api/v1/event.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service, ServiceSpec } from "../../src/api/v1/service.ts";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { renderKubeconfig } from "../../src/client/kubeconfig.render.ts";
import { createClient } from "../../src/client/rest.ts";
import { Disposables } from "../../src/async/disposables.ts";
import { endpoint } from "../../src/core/proxy/fixtures.test.ts";
import { ADMIN, cidr, SILENT, startTestServer } from "../apiserver/test-server.ts";
import type { TestServer } from "../apiserver/test-server.ts";
import { makeHome, startPortolan } from "../e2e/portolan.ts";
import type { Home, Started } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { Network, NODE4, NODE6 } from "./network.ts";

const WORLD = { from: "world" };
export const NODE_NAME = "here";

/**
 * A node in its network, an API server of ours on a port of it, and the way between it and `portolan proxy` as a user
 * starts it.
 */
export class ProgramCluster implements AsyncDisposable {
  readonly network: Network;
  readonly api: TestServer;
  readonly client: ApiClient;
  readonly way: Way;
  readonly home: Home;
  readonly kubeconfig: string;
  readonly #opened: Disposables;

  private constructor(parts: {
    readonly network: Network;
    readonly api: TestServer;
    readonly way: Way;
    readonly home: Home;
    readonly kubeconfig: string;
    readonly opened: Disposables;
  }) {
    ({
      network: this.network,
      api: this.api,
      way: this.way,
      home: this.home,
      kubeconfig: this.kubeconfig,
      opened: this.#opened,
    } = parts);
    const { api } = parts;
    this.client = createClient({ transport: (request) => api.server.handle(request, ADMIN) });
  }

  static async start(): Promise<ProgramCluster> {
    const opened = new Disposables();
    const network = opened.add(await Network.open());
    await network.addServers(PODS, 8080);
    const home = opened.add(await makeHome());
    const api = opened.add(
      await startTestServer({ serviceCidrs: [cidr("10.96.0.0/16"), cidr("fd00:96::/112")] }),
    );
    const certificates = await clusterCertificates({
      dir: undefined,
      apiServerNames: [],
      agentNames: [],
      clusterDomain: "cluster.local",
      now: Date.now,
    });
    const { authority, apiServer, admin } = certificates;
    const listener = opened.add(
      await network.onNode(() =>
        listen({
          address: "127.0.0.1",
          port: 0,
          tls: { key: apiServer.key, cert: apiServer.certificate, clientCa: authority },
          handler: (request, user) => api.server.handle(request, user),
          log: SILENT,
        }),
      ),
    );
    const way = opened.add(await Way.open(network, listener.port));
    const kubeconfig = join(home.path, "kubeconfig");
    const server = `https://127.0.0.1:${String(way.port)}`;
    await writeFile(
      kubeconfig,
      renderKubeconfig({ server, ca: authority, cert: admin.certificate, key: admin.key }),
    );
    const cluster = new ProgramCluster({ network, api, way, home, kubeconfig, opened });
    await cluster.client.create(nodeKind, { metadata: { name: NODE_NAME }, spec: {} });
    await cluster.nodeAddresses(NODE4, NODE6);
    return cluster;
  }

  /** The node's InternalIPs. */
  async nodeAddresses(...all: readonly string[]): Promise<void> {
    const body = { status: { addresses: all.map((address) => ({ type: "InternalIP", address })) } };
    const patch = { kind: "merge", body } as const;
    await this.client.patch(nodeKind, { name: NODE_NAME }, patch, { subresource: "status" });
  }

  /** Starts `portolan proxy` on the node, and does not wait. */
  launch(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Started> {
    const flags = ["--kubeconfig", this.kubeconfig, "--node-name", NODE_NAME];
    const ranges = ["--cluster-cidr", "10.244.0.0/16,fd00:244::/64"];
    const all = ["proxy", ...flags, ...ranges, "-o", "json", ...args];
    return this.network.onNode(() => Promise.resolve(startPortolan(this.home, all, env)));
  }

  /** The same, until it says that every Service is served. */
  async proxy(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Started> {
    const started = await this.launch(args, env);
    try {
      await eventually(`portolan proxy is ready: ${started.stderr()}`, () =>
        started.stdout().includes('"ready":true'),
      );
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw new Error(started.stderr(), { cause: error });
    }
  }

  /** A Service without selector, and its slice: lines as `10.244.0.1 @there`. */
  async expose(
    name: string,
    lines: readonly string[],
    spec: Partial<ServiceSpec> = {},
    metadata: Partial<Service["metadata"]> = {},
  ): Promise<Service> {
    const ports = [{ name: "http", protocol: "TCP" as const, port: 80 }];
    const made = await this.client.create(serviceKind, {
      metadata: { ...metadata, name, namespace: "default" },
      spec: { ports, ...spec },
    });
    await this.client.create(endpointSliceKind, {
      metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: lines.map(endpoint),
      ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    });
    return made;
  }

  async setEndpoints(name: string, lines: readonly string[]): Promise<void> {
    const endpoints: readonly Endpoint[] = lines.map(endpoint);
    const patch = { kind: "merge", body: { endpoints } } as const;
    await this.client.patch(endpointSliceKind, { namespace: "default", name }, patch);
  }

  async remove(name: string): Promise<void> {
    const ref = { namespace: "default", name };
    await this.client.delete(endpointSliceKind, ref);
    await this.client.delete(serviceKind, ref);
  }

  /** Who answers there to the world, or how nobody does. */
  async answers(
    address: string,
    port = 80,
    client: { readonly from: string } = WORLD,
  ): Promise<string> {
    const outcome = await this.network.tcp(client, address, port);
    return outcome.kind === "answered" ? outcome.by : outcome.kind;
  }

  async untilAnswered(by: string, address: string, port = 80): Promise<void> {
    await eventually(`${address}:${String(port)} is answered by ${by}`, async () => {
      const who = await this.answers(address, port);
      if (who !== by) throw new Error(who);
      return true;
    });
  }

  /** An Event of this reason about an object of this kind and name that says this, as soon as there is one. */
  event(reason: string, kind: string, name: string, part = ""): Promise<Event> {
    return eventually(`Event ${reason} on ${kind} ${name}`, async () => {
      const { items } = await this.client.list(eventKind, {});
      const found = items.find(
        (each) =>
          each.reason === reason &&
          each.involvedObject?.kind === kind &&
          each.involvedObject.name === name &&
          (each.message ?? "").includes(part),
      );
      if (found === undefined) {
        throw new Error(items.map((each) => `${each.reason ?? ""}: ${each.message ?? ""}`).join());
      }
      return found;
    });
  }

  /** The text of /metrics of the proxy. */
  async metrics(): Promise<string> {
    const response = await this.network.onNode(() => fetch("http://127.0.0.1:10249/metrics"));
    return response.text();
  }

  /** A sample by its name with labels; 0 where there is none. */
  async metric(name: string): Promise<number> {
    return sampleOf(await this.metrics(), name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened[Symbol.asyncDispose]();
  }
}

export function sampleOf(text: string, name: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? "0");
}

/** A port of the node that leads to the API server's, and that can be cut as a cable. */
class Way implements Disposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  /** Bytes of an answer after which its connection breaks. */
  #limit = Number.POSITIVE_INFINITY;
  /** Connections that broke by the limit. */
  broken = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(network: Network, to: number): Promise<Way> {
    const server = createServer();
    const way = new Way(server);
    server.on("connection", (near) => {
      if (way.#isCut) near.resetAndDestroy();
      else void network.onNode(() => Promise.resolve(way.#join(near, connect(to, "127.0.0.1"))));
    });
    await network.onNode(() => Promise.resolve(server.listen(0, "127.0.0.1")));
    if (!server.listening) await once(server, "listening");
    return way;
  }

  get port(): number {
    // A server that listens on a port has such an address.
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks every connection, and refuses new ones. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Mends it; with a limit connections break after so many bytes from the server. */
  mend(limit = Number.POSITIVE_INFINITY): void {
    this.#isCut = false;
    this.#limit = limit;
  }

  #join(near: Socket, far: Socket): void {
    let received = 0;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    near.on("data", (chunk) => far.write(chunk));
    far.on("data", (chunk: Buffer) => {
      const room = this.#limit - received;
      received += chunk.length;
      if (chunk.length <= room) {
        near.write(chunk);
        return;
      }
      this.broken++;
      near.write(chunk.subarray(0, Math.max(0, room)), () => near.resetAndDestroy());
    });
  }

  [Symbol.dispose](): void {
    this.cut();
    this.#server.close();
  }
}
