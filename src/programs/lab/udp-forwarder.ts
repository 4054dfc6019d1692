import { createSocket } from "node:dgram";
import type { RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { FrameReader, sendFrame } from "./datagram-frames.ts";
import type { Dial, Forwarder } from "./forwarder.ts";

/** Half as long as the kernel remembers a connection of UDP that both sides have used. */
const IDLE_MS = 60_000;
const MAX_CLIENTS = 256;
/** The same trouble is told so often. */
const TELL_EVERY_MS = 10_000;

export interface UdpForwarderDeps {
  /** Opens a stream for the datagrams of one client, as {@link sendFrame} has them. */
  readonly dial: Dial;
  /** Takes what goes wrong, to be told to the user. */
  readonly tell: (trouble: string) => void;
}

interface Client {
  readonly far: Socket;
  usedMs: number;
}

/** What to tell the user when a stream to the lab breaks. */
export function noWay(error: Error): string {
  return `the lab's node does not answer: ${error.message}`;
}

/**
 * Carries datagrams to `at` on, by a stream for each client's address, and back to it. A client that is silent for a
 * minute, or the longest silent one when there are too many, begins anew with its next datagram.
 * @param options for tests; defaults a minute and 256 clients.
 * @throws the socket's error when `at` cannot be bound.
 */
export async function startUdpForwarder(
  { dial, tell }: UdpForwarderDeps,
  at: { readonly host: string; readonly port: number },
  options: { readonly idleMs?: number; readonly maxClients?: number } = {},
): Promise<Forwarder> {
  const { idleMs = IDLE_MS, maxClients = MAX_CLIENTS } = options;
  const near = createSocket("udp4");
  /** By the client's address and port, the longest silent first. */
  const clients = new Map<string, Client>();
  const toldMs = new Map<string, number>();
  const tellOnce = (trouble: string): void => {
    const nowMs = performance.now();
    if (nowMs - (toldMs.get(trouble) ?? -Infinity) < TELL_EVERY_MS) return;
    toldMs.clear();
    toldMs.set(trouble, nowMs);
    tell(trouble);
  };
  const endLongestSilent = (): void => {
    for (const [name, { far }] of clients) {
      clients.delete(name);
      far.destroy();
      return;
    }
  };

  const begin = (name: string, { address, port }: RemoteInfo): Client => {
    if (clients.size >= maxClients) {
      tellOnce(
        `more than ${String(maxClients)} clients at once: the longest silent ones begin anew`,
      );
      endLongestSilent();
    }
    const far = dial();
    const client = { far, usedMs: performance.now() };
    const reader = new FrameReader();
    far.on("data", (bytes: Buffer) => {
      client.usedMs = performance.now();
      for (const { kind, payload } of reader.read(bytes)) {
        if (kind === "error") tellOnce(payload.toString());
        // It fails for a client that is gone, which nobody else need know.
        else near.send(payload, port, address, () => undefined);
      }
    });
    far.on("error", (error) => {
      tellOnce(noWay(error));
    });
    far.once("end", () => far.destroy());
    far.once("close", () => {
      if (clients.get(name)?.far === far) clients.delete(name);
    });
    return client;
  };

  near.on("message", (payload, from) => {
    const name = `${from.address} ${String(from.port)}`;
    const client = clients.get(name) ?? begin(name, from);
    client.usedMs = performance.now();
    clients.delete(name);
    clients.set(name, client);
    sendFrame(client.far, { kind: "datagram", payload });
  });
  const looking = setInterval(() => {
    const sinceMs = performance.now() - idleMs;
    for (const [name, { far, usedMs }] of clients) {
      if (usedMs >= sinceMs) continue;
      // At once: what comes before it is closed is to begin anew, not to go nowhere.
      clients.delete(name);
      far.destroy();
    }
  }, idleMs / 4);

  const bound = once(near, "listening");
  near.bind(at.port, at.host);
  try {
    await bound;
  } catch (error) {
    clearInterval(looking);
    throw error;
  }
  near.on("error", (error) => {
    tellOnce(error.message);
  });
  return {
    port: near.address().port,
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      for (const { far } of clients.values()) far.destroy();
      const closed = once(near, "close");
      near.close();
      await closed;
    },
  };
}
