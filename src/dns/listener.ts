import type { IpAddress } from "../net/address.ts";
import type { Port } from "../net/host-port.ts";

/** How a message came: `tls` is DNS over TLS (RFC 7858). */
export type Protocol = "udp" | "tcp" | "tls";

/** Who asks. */
export interface Peer {
  /** As the socket gives it; IPv4 may be in IPv6 form. */
  readonly address: string;
  readonly port: number;
}

/** What is sent to a message: several messages only where a zone is transferred, never over UDP. */
export type Sent = Uint8Array | readonly Uint8Array[] | undefined;

/**
 * Answers one message. It gives the answer at once where it can (all names of the cluster), so that nothing
 * waits for the next turn; undefined sends nothing. Never throws and never rejects.
 */
export type Respond = (message: Uint8Array, protocol: Protocol, peer: Peer) => Sent | Promise<Sent>;

/** Something that takes messages from the network and has them answered. Disposing closes its sockets. */
export interface Listener extends AsyncDisposable {
  readonly port: Port;
}

export interface ListenAddress {
  readonly address: IpAddress;
  /** 0 takes a free one. */
  readonly port: Port;
}
