import { createSocket } from "node:dgram";
import type { RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { ipFamilyOf } from "../net/address.ts";
import { parsePort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ListenAddress, Listener, Respond, Sent } from "./listener.ts";

/** Stock kernels queue 208 KiB, which bursts overrun; this much lost nothing. The kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Answers waiting for the kernel; beyond, answers are dropped, as a full network does. Clients ask again. */
const MAX_QUEUED_SENDS = 4096;

/** Answers questions over UDP. @throws Error with the socket's code when the address cannot be bound. */
export async function listenUdp(
  deps: { readonly respond: Respond; readonly log: Logger },
  listen: ListenAddress,
): Promise<Listener> {
  const isIpv6 = ipFamilyOf(listen.address) === "IPv6";
  const socket = createSocket({
    type: isIpv6 ? "udp6" : "udp4",
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    // Peers are addresses, never names: without this, each send takes a detour by the resolver.
    lookup: (hostname, _options, callback) => {
      callback(null, hostname, isIpv6 ? 6 : 4);
    },
  });
  let isClosed = false;
  const send = (answer: Sent, peer: RemoteInfo): void => {
    // Several messages are a zone, which does not go over UDP.
    if (!(answer instanceof Uint8Array) || isClosed) return;
    if (socket.getSendQueueCount() >= MAX_QUEUED_SENDS) return;
    socket.send(answer, peer.port, peer.address, (error) => {
      if (error !== null) deps.log.debug("dns answer not sent", { error, to: peer.address });
    });
  };
  socket.on("message", (message, peer) => {
    const answer = deps.respond(message, "udp", peer);
    if (answer instanceof Promise) {
      // Respond promises never to reject.
      void answer.then((late) => {
        send(late, peer);
      });
    } else {
      send(answer, peer);
    }
  });
  try {
    // Listened for first: with our look-up, the socket is bound before bind() returns.
    const listening = once(socket, "listening");
    socket.bind(listen.port, listen.address);
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on("error", (error) => {
    deps.log.warn("dns socket failed", { error, protocol: "udp" });
  });
  const port = parsePort(socket.address().port);
  if (port === undefined) throw new Error("a bound socket has no port");
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      socket.close();
      await once(socket, "close");
    },
  };
}
