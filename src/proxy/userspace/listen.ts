import type { Socket } from "node:dgram";
import type { Server } from "node:net";
import type { IpAddress } from "../../net/address.ts";
import type { Port } from "../../net/host-port.ts";

/** Undefined when it worked, otherwise the system's error code, such as EADDRINUSE. */
export type ListenFailure = string | undefined;

export function listenTcp(server: Server, address: IpAddress, port: Port): Promise<ListenFailure> {
  return outcome(server, "listening", () => {
    // Exclusive: in a cluster worker Node would otherwise ask the parent process for the socket.
    server.listen({ host: address, port, exclusive: true });
  });
}

export async function bindUdp(
  socket: Socket,
  address: IpAddress,
  port: Port,
): Promise<ListenFailure> {
  const failure = await outcome(socket, "listening", () => {
    socket.bind({ address, port, exclusive: true });
  });
  if (failure !== undefined) socket.close();
  return failure;
}

function outcome(
  emitter: Server | Socket,
  success: "listening",
  begin: () => void,
): Promise<ListenFailure> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      emitter.removeListener(success, onSuccess);
      resolve(error.code ?? error.message);
    };
    const onSuccess = (): void => {
      emitter.removeListener("error", onError);
      resolve(undefined);
    };
    emitter.once("error", onError);
    emitter.once(success, onSuccess);
    begin();
  });
}
