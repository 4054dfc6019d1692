import { createSocket } from "node:dgram";
import type { Socket } from "node:net";
import { ipFamilyOf } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { formatHostPort } from "../../net/host-port.ts";
import { FrameReader, sendFrame } from "./datagram-frames.ts";

/**
 * Sends the datagrams that come over a stream to an address, from a port of their own, and those that come back the other
 * way, until the stream ends. What the network says against them goes back too.
 */
export function joinUdp(
  near: Socket,
  to: { readonly address: IpAddress; readonly port: number },
): void {
  const far = createSocket(ipFamilyOf(to.address) === "IPv6" ? "udp6" : "udp4");
  const reader = new FrameReader();
  far.on("message", (datagram) => {
    sendFrame(near, { kind: "datagram", payload: datagram });
  });
  far.on("error", (error) => {
    const payload = Buffer.from(reasonOf(error, formatHostPort(to.address, to.port)));
    sendFrame(near, { kind: "error", payload });
  });
  // Nothing of the stream is read before the socket takes datagrams.
  far.connect(to.port, to.address, () => {
    near.on("data", (bytes: Buffer) => {
      try {
        for (const { payload } of reader.read(bytes)) far.send(payload, () => undefined);
      } catch {
        // Not one of ours.
        near.destroy();
      }
    });
    near.once("end", () => near.destroy());
  });
  near.once("close", () => {
    far.close();
  });
}

function reasonOf(error: Error, to: string): string {
  const isRefused = "code" in error && error.code === "ECONNREFUSED";
  return isRefused ? `${to}: nobody takes datagrams there` : `${to}: ${error.message}`;
}
