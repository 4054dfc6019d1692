import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { HealthCheck } from "../core/proxy/service-part.ts";
import type { IpAddress } from "../net/address.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";

export interface HealthChecksDeps {
  readonly log: Logger;
  /** The proxy itself is up to date (HC-002). */
  readonly isHealthy: () => boolean;
  /** A port could not be opened; it is tried again later (HC-007, HC-014). */
  readonly onFailure: (service: ObjectKey, message: string) => void;
}

interface Check {
  readonly port: Port;
  localEndpoints: number;
  /** By address; undefined where it could not be opened. */
  readonly servers: Map<IpAddress, Server>;
}

/**
 * Answers external load balancers at each Service's `healthCheckNodePort`: 200 while this node has ready
 * endpoints of the Service and the proxy is healthy, otherwise 503 (HC-001..007).
 */
export class HealthChecks implements Disposable {
  readonly #deps: HealthChecksDeps;
  readonly #addresses: readonly IpAddress[];
  readonly #checks = new Map<ObjectKey, Check>();

  /** `addresses` are those on which node ports are served (HC-007). */
  constructor(deps: HealthChecksDeps, addresses: readonly IpAddress[]) {
    this.#deps = deps;
    this.#addresses = addresses;
  }

  /** Opens, changes or (with undefined) closes a Service's port. A new count is answered at once. */
  async set(service: ObjectKey, wanted: HealthCheck | undefined): Promise<void> {
    const known = this.#checks.get(service);
    if (known !== undefined && known.port === wanted?.port) {
      known.localEndpoints = wanted.localEndpoints;
      return;
    }
    if (known !== undefined) {
      this.#checks.delete(service);
      closeAll(known);
    }
    if (wanted === undefined) return;
    const check: Check = { ...wanted, servers: new Map() };
    this.#checks.set(service, check);
    await this.#open(service, check);
  }

  /** Tries again what could not be opened. */
  async retry(): Promise<void> {
    for (const [service, check] of this.#checks) {
      if (check.servers.size < this.#addresses.length) await this.#open(service, check);
    }
  }

  /** Some port could not be opened. */
  get hasFailures(): boolean {
    return [...this.#checks.values()].some((check) => check.servers.size < this.#addresses.length);
  }

  [Symbol.dispose](): void {
    for (const check of this.#checks.values()) closeAll(check);
    this.#checks.clear();
  }

  async #open(service: ObjectKey, check: Check): Promise<void> {
    for (const address of this.#addresses) {
      if (check.servers.has(address)) continue;
      const server = createServer((_request, response) => {
        this.#answer(service, check, response);
      });
      const code = await listen(server, address, check.port);
      if (code === undefined && this.#checks.get(service) === check) {
        check.servers.set(address, server);
        continue;
      }
      server.close();
      if (code === undefined) return;
      const where = formatHostPort(address, check.port);
      this.#deps.onFailure(service, `node failed to start healthcheck on ${where}: ${code}`);
      this.#deps.log.warn("health check port cannot be opened", { service, where, code });
    }
  }

  // Any path and method, as upstream (HC-003, HC-004).
  #answer(service: ObjectKey, check: Check, response: ServerResponse): void {
    const { namespace = "", name } = refOf(service);
    const { localEndpoints } = check;
    const serviceProxyHealthy = this.#deps.isHealthy();
    const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy };
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "x-load-balancing-endpoint-weight": String(localEndpoints),
    });
    response.end(`${JSON.stringify(body)}\n`);
  }
}

function listen(server: Server, address: IpAddress, port: Port): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Stays: a failing accept would otherwise end the process.
    server.on("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    server.listen({ host: address, port, exclusive: true }, () => {
      resolve(undefined);
    });
  });
}

function closeAll(check: Check): void {
  for (const server of check.servers.values()) {
    server.close();
    server.closeAllConnections();
  }
}
