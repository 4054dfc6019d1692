import { formatHostPort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ListenAddress, Listener, Respond } from "./listener.ts";
import type { CertificateSource } from "./serving-certificate.ts";
import { TCP_LIMITS, listenTcp } from "./tcp.ts";
import type { TcpLimits } from "./tcp.ts";
import { listenUdp } from "./udp.ts";

/** A free TCP port is hardly ever taken on UDP; so often it is not by chance. */
const MAX_ATTEMPTS = 10;

/** DNS cannot listen; the message names the address and the way out, `code` is the socket's. */
class DnsListenError extends Error {
  readonly code: string;

  constructor(listen: ListenAddress, code: string, cause: unknown) {
    const where = formatHostPort(listen.address, listen.port);
    super(`cannot serve DNS on ${where}: ${whyNot(listen, code, cause)}`, { cause });
    this.name = "DnsListenError";
    this.code = code;
  }
}

function whyNot({ address, port }: ListenAddress, code: string, cause: unknown): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use; end what uses it, or choose another port (0 takes a free one)";
    case "EACCES":
      return `this user may not bind port ${String(port)}; choose a port above 1023`;
    case "EADDRNOTAVAIL":
      return `no interface of this machine has the address ${address}`;
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}

/**
 * Listens on UDP and TCP, on one port (DNS-017).
 * @throws DnsListenError when the address cannot be bound.
 */
export async function listenBoth(
  deps: {
    readonly respond: Respond;
    readonly log: Logger;
    /** Default {@link listenUdp}. */
    readonly udp?: typeof listenUdp | undefined;
    /** What differs from {@link TCP_LIMITS}. */
    readonly tcpLimits?: Partial<TcpLimits> | undefined;
  },
  listen: ListenAddress,
): Promise<Listener> {
  const listenOnUdp = deps.udp ?? listenUdp;
  for (let attempt = 1; ; attempt++) {
    const limits = { ...TCP_LIMITS, ...deps.tcpLimits };
    const tcp = await listenTcp(deps, listen, limits).catch((error: unknown) => {
      throw new DnsListenError(listen, codeOf(error), error);
    });
    try {
      const udp = await listenOnUdp(deps, { address: listen.address, port: tcp.port });
      return {
        port: tcp.port,
        [Symbol.asyncDispose]: async () => {
          await udp[Symbol.asyncDispose]();
          await tcp[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await tcp[Symbol.asyncDispose]();
      const code = codeOf(error);
      if (listen.port !== 0 || code !== "EADDRINUSE" || attempt === MAX_ATTEMPTS)
        throw new DnsListenError({ ...listen, port: tcp.port }, code, error);
    }
  }
}

/**
 * Listens for DNS over TLS.
 * @throws DnsListenError when the address cannot be bound, or the certificate not used.
 */
export async function listenTls(
  deps: {
    readonly respond: Respond;
    readonly log: Logger;
    readonly tcpLimits?: Partial<TcpLimits> | undefined;
  },
  listen: ListenAddress,
  certificate: CertificateSource,
): Promise<Listener> {
  return listenTcp(deps, listen, { ...TCP_LIMITS, ...deps.tcpLimits }, certificate).catch(
    (error: unknown) => {
      throw new DnsListenError(listen, codeOf(error), error);
    },
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
