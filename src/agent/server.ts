import { createServer } from "node:https";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { PeerCertificate } from "node:tls";
import { pipeline } from "node:stream/promises";
import type { Logger } from "../telemetry/log.ts";
import { parseLogRequest } from "./log-request.ts";
import type { PodLog } from "./pod-log.ts";
import { codeOf } from "./proc.ts";
import type { StreamingDeps, Upgrade } from "./streaming/serve.ts";

export interface AgentServerOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: ServerTls;
}

/** PEM texts. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Signs the certificates of those who may ask. */
  readonly ca: string;
}

export interface AgentServerDeps extends Omit<StreamingDeps, "log" | "now"> {
  readonly log: Logger;
  readonly now: () => number;
  readonly logOf: (
    namespace: string,
    pod: string,
    container: string,
    previous: boolean,
  ) => PodLog | { readonly kind: "missing"; readonly message: string };
}

export interface AgentServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * The agent's HTTPS server, as the API server expects a kubelet's: `GET /containerLogs/...` and `/healthz`, and
 * with a change of protocol `/exec/...`, `/attach/...` and `/portForward/...`.
 * Logs hold secrets, so only the API server's own client certificate is let in, or an admin's.
 */
export async function startAgentServer(
  deps: AgentServerDeps,
  options: AgentServerOptions,
): Promise<AgentServer> {
  const ending = new AbortController();
  const { cert, key, ca } = options.tls;
  const server = createServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" },
    (request, response) => {
      answer(deps, request, response, ending.signal).catch((error: unknown) => {
        // The client went away, or the agent ends: nobody is left to tell.
        if (!ending.signal.aborted && codeOf(error) !== "ERR_STREAM_PREMATURE_CLOSE")
          deps.log.warn("request failed", { url: request.url, error });
        response.destroy();
      });
    },
  );
  const upgraded = new Set<Duplex>();
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.once("close", () => upgraded.delete(socket));
    // The sessions see the connection's end; a failure of a connection concerns its client only.
    socket.on("error", (error) => deps.log.debug("stream broken", { url: request.url, error }));
    const upgrade = { request, socket, head, ending: ending.signal };
    stream(deps, upgrade, upgraded.size).catch((error: unknown) => {
      deps.log.warn("stream failed", { url: request.url, error });
      socket.destroy();
    });
  });
  server.listen(options.port, options.address);
  await once(server, "listening");
  // An address of type string is a pipe's; this one listens on a port.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      ending.abort(new Error("the node agent is ending"));
      for (const socket of upgraded) socket.destroy();
      await closed(server);
    },
  };
}

/** Upgraded connections at a time; a command or a port-forward has one. */
const MAX_STREAMS = 512;

async function stream(deps: AgentServerDeps, upgrade: Upgrade, count: number): Promise<void> {
  // Loaded with its packages when it is first needed.
  const { refuse, serveStreaming } = await import("./streaming/serve.ts");
  const { socket } = upgrade.request;
  if (!(socket instanceof TLSSocket) || !mayAsk(socket.getPeerCertificate().subject))
    refuse(upgrade, 403, "Forbidden: the client certificate is not the API server's");
  else if (count > MAX_STREAMS) refuse(upgrade, 429, "too many streams at once");
  else await serveStreaming(deps, upgrade);
}

async function answer(
  deps: AgentServerDeps,
  request: IncomingMessage,
  response: ServerResponse,
  ending: AbortSignal,
): Promise<void> {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !mayAsk(socket.getPeerCertificate().subject)) {
    end(response, 403, "Forbidden: the client certificate is not the API server's\n");
    return;
  }
  if (request.method !== "GET") {
    end(response, 405, "method not allowed\n");
    return;
  }
  const url = new URL(request.url ?? "/", "https://agent");
  if (url.pathname === "/healthz") {
    end(response, 200, "ok");
    return;
  }
  const asked = parseLogRequest(url, deps.now());
  if (asked.kind === "other") end(response, 404, "404 page not found\n");
  else if (asked.kind === "invalid") end(response, 400, `${asked.message}\n`);
  else {
    const found = deps.logOf(asked.namespace, asked.pod, asked.container, asked.previous);
    if (found.kind === "missing") end(response, 404, `${found.message}\n`);
    else if (found.kind === "unavailable") end(response, 400, `${found.message}\n`);
    else {
      response.writeHead(200, { "content-type": "text/plain" });
      // The headers go out before the first line: a follower must know that it is connected.
      response.flushHeaders();
      const gone = new AbortController();
      const stop = (): void => {
        gone.abort(new Error("nobody reads any more"));
      };
      response.once("close", stop);
      ending.addEventListener("abort", stop, { once: true });
      try {
        const lines = found.log.read(asked.query, deps.now, found.hasEnded, gone.signal);
        await pipeline(lines, response);
      } catch (error) {
        if (!gone.signal.aborted) throw error;
      } finally {
        ending.removeEventListener("abort", stop);
      }
    }
  }
}

/** The names that kubeadm gives: the API server's client certificate towards kubelets, and cluster admins. */
function mayAsk(subject: PeerCertificate["subject"] | undefined): boolean {
  // Several values of one name come as a list, which the types do not say.
  const values = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
  return (
    values(subject?.CN).includes("kube-apiserver-kubelet-client") ||
    values(subject?.O).includes("system:masters")
  );
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" });
  response.end(text);
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
