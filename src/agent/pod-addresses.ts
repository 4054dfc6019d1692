import type { IpAddress } from "../net/address.ts";
import { ipToBigInt } from "../net/address.ts";
import { cidrAddress, cidrContains, cidrSize } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";

/** First offset given to Pods: .0 is the network and .1 the node. */
const FIRST_OFFSET = 2n;

/**
 * Hands out a Pod range's addresses one after another and starts over at the end, so that an address comes
 * back as late as possible: a client that still holds a dead Pod's address meets nobody, not a stranger.
 */
export class PodAddresses {
  readonly #cidr: Cidr;
  readonly #holders = new Map<IpAddress, string>();
  #next = FIRST_OFFSET;

  /** @throws Error when the range has no address for a Pod. */
  constructor(cidr: Cidr) {
    if (cidrSize(cidr) < 4n)
      throw new Error(`pod CIDR ${cidr} is too small: .0, .1 and the last address are reserved`);
    this.#cidr = cidr;
  }

  /** The node's own address, .1. */
  get nodeAddress(): IpAddress {
    return cidrAddress(this.#cidr, 1n);
  }

  /** A new address for the holder; undefined when all are taken. */
  allocate(holder: string): IpAddress | undefined {
    const usable = cidrSize(this.#cidr) - FIRST_OFFSET - 1n;
    for (let tried = 0n; tried < usable; tried++) {
      const address = cidrAddress(this.#cidr, this.#next);
      this.#next = this.#next + 1n - FIRST_OFFSET >= usable ? FIRST_OFFSET : this.#next + 1n;
      if (this.#holders.has(address)) continue;
      this.#holders.set(address, holder);
      return address;
    }
    return undefined;
  }

  /**
   * Takes an address that the holder already has, as after a restart; the next new one comes after it.
   * @returns false when it is outside the range, reserved or another's.
   */
  reserve(address: IpAddress, holder: string): boolean {
    if (!cidrContains(this.#cidr, address)) return false;
    const offset = ipToBigInt(address) - ipToBigInt(cidrAddress(this.#cidr, 0n));
    if (offset < FIRST_OFFSET || offset >= cidrSize(this.#cidr) - 1n) return false;
    const current = this.#holders.get(address);
    if (current !== undefined) return current === holder;
    this.#holders.set(address, holder);
    if (offset >= this.#next && offset + 2n < cidrSize(this.#cidr)) this.#next = offset + 1n;
    return true;
  }

  /** Gives the address back, if the holder has it. */
  release(address: IpAddress, holder: string): void {
    if (this.#holders.get(address) === holder) this.#holders.delete(address);
  }
}
