import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { IpAddress } from "../net/address.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { proxyHealthAnswer } from "./health.ts";
import type { ProxyState } from "./health.ts";
import { trafficBody } from "./traffic.ts";
import type { ReadTraffic, TrafficCounters } from "./traffic.ts";

export interface StatusDeps {
  readonly state: () => ProxyState;
  readonly metrics: Metrics;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const NOT_FOUND: Answer = { status: 404, type: "text/plain", body: "404 page not found\n" };

/** The proxy's own health, `/healthz` and `/livez`, by custom on port 10256 of all addresses (HC-008, HC-013). */
export function healthServer(deps: StatusDeps): Server {
  const healthz = deps.metrics.counter(
    "kubeproxy_proxy_healthz_total",
    "Answers of /healthz, by status code.",
    ["code"],
  );
  const livez = deps.metrics.counter(
    "kubeproxy_proxy_livez_total",
    "Answers of /livez, by status code.",
    ["code"],
  );
  return serverOf((path) => {
    if (path !== "/healthz" && path !== "/livez") return NOT_FOUND;
    const { status, body } = proxyHealthAnswer(path, deps.state(), Date.now());
    (path === "/healthz" ? healthz : livez).with({ code: String(status) }).inc();
    return { status, type: "application/json", body };
  });
}

export interface MetricsDeps {
  readonly metrics: Metrics;
  /** Brought up to date before metrics are shown. */
  readonly counters: Pick<TrafficCounters, "refresh">;
  readonly traffic: ReadTraffic;
}

/** Metrics, traffic and the mode, by custom on port 10249 of loopback (HC-012, HC-013). */
export function metricsServer(deps: MetricsDeps, mode: string): Server {
  return serverOf(async (path) => {
    switch (path) {
      case "/traffic":
        return {
          status: 200,
          type: "application/json",
          body: `${trafficBody(await deps.traffic(true))}\n`,
        };
      case "/metrics":
        await deps.counters.refresh();
        return { status: 200, type: "text/plain; version=0.0.4", body: deps.metrics.render() };
      case "/proxyMode":
        return { status: 200, type: "text/plain", body: mode };
      case "/healthz":
        return { status: 200, type: "text/plain", body: "ok" };
      default:
        return NOT_FOUND;
    }
  });
}

/** @throws Error that names the address when it cannot be had. */
export async function listenOn(
  server: Server,
  where: { readonly address: IpAddress; readonly port: Port },
): Promise<AsyncDisposable> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const at = formatHostPort(where.address, where.port);
      reject(new Error(`cannot listen on ${at}: ${error.code ?? error.message}`, { cause: error }));
    });
    server.listen({ host: where.address, port: where.port, exclusive: true }, resolve);
  });
  // A failing accept would otherwise end the process.
  server.on("error", () => undefined);
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function serverOf(answer: (path: string) => Answer | Promise<Answer>): Server {
  return createServer((request: IncomingMessage, response: ServerResponse) => {
    const [path = ""] = (request.url ?? "").split("?");
    // Failures are answered inside.
    void answerTo(path, answer).then(({ status, type, body }) => {
      response.writeHead(status, {
        "content-type": type,
        "x-content-type-options": "nosniff",
        "content-length": Buffer.byteLength(body),
      });
      response.end(request.method === "HEAD" ? undefined : body);
    });
  });
}

async function answerTo(
  path: string,
  answer: (path: string) => Answer | Promise<Answer>,
): Promise<Answer> {
  try {
    return await answer(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { status: 500, type: "text/plain", body: `${path} cannot be told now: ${why}\n` };
  }
}
