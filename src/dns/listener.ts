import type { IpAddress } from "../net/address.ts";
import type { Port } from "../net/host-port.ts";

export type Protocol = "udp" | "tcp";

/**
 * Answers one message. It gives the answer at once where it can (all names of the cluster), so that nothing
 * waits for the next turn; undefined sends nothing. Never throws and never rejects.
 */
export type Respond = (
  message: Uint8Array,
  protocol: Protocol,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** Something that takes messages from the network and has them answered. Disposing closes its sockets. */
export interface Listener extends AsyncDisposable {
  readonly port: Port;
}

export interface ListenAddress {
  readonly address: IpAddress;
  /** 0 takes a free one. */
  readonly port: Port;
}
