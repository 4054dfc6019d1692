import { once } from "node:events";
import { createServer } from "node:http";
import { formatHostPort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ListenAddress } from "./listener.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** The paths of one address, each with what it answers to GET. */
export type HttpPaths = ReadonlyMap<string, () => HttpAnswer>;

/**
 * Serves a few plain texts, such as health and metrics. Every address of IPv6 is every one of IPv4 as well, and that alone
 * where the machine knows no IPv6.
 * @throws Error that names the address when it cannot be bound.
 */
export async function listenHttp(
  deps: { readonly log: Logger },
  listen: ListenAddress,
  paths: () => HttpPaths,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000 },
    (request, response) => {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      const answer =
        request.method === "GET" || request.method === "HEAD" ? paths().get(path)?.() : undefined;
      response.statusCode = answer?.status ?? 404;
      response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
      response.end(answer?.text ?? "not found\n");
    },
  );
  server.maxConnections = 100;
  const bind = async (address: string): Promise<void> => {
    server.listen(listen.port, address);
    await once(server, "listening");
  };
  try {
    await bind(listen.address).catch((error: unknown) => {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (listen.address !== "::" || code !== "EAFNOSUPPORT") throw error;
      return bind("0.0.0.0");
    });
  } catch (error) {
    const where = formatHostPort(listen.address, listen.port);
    throw new Error(`cannot serve HTTP on ${where}`, { cause: error });
  }
  server.on("error", (error) => {
    deps.log.warn("http socket failed", { error });
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : listen.port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
