import type { Logger } from "../telemetry/log.ts";
import type { ListenAddress, Listener, Respond } from "./listener.ts";
import { listenTcp } from "./tcp.ts";
import { listenUdp } from "./udp.ts";

/** A free TCP port is hardly ever taken on UDP; so often it is not by chance. */
const MAX_ATTEMPTS = 10;

/**
 * Listens on UDP and TCP, on one port (DNS-017). @throws Error with the socket's code when the address cannot
 * be bound.
 */
export async function listenBoth(
  deps: { readonly respond: Respond; readonly log: Logger },
  listen: ListenAddress,
): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    const tcp = await listenTcp(deps, listen);
    try {
      const udp = await listenUdp(deps, { address: listen.address, port: tcp.port });
      return {
        port: tcp.port,
        [Symbol.asyncDispose]: async () => {
          await udp[Symbol.asyncDispose]();
          await tcp[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await tcp[Symbol.asyncDispose]();
      const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (listen.port !== 0 || !isTaken || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
