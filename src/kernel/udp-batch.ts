import type { Libc } from "./libc.ts";
import { IOVEC_WORDS, MMSGHDR_WORDS, MessageHeaders } from "./message-headers.ts";
import { SOCKET_ADDRESS_BYTES } from "./socket-address.ts";
import { SystemCallError } from "./udp-socket.ts";

const MSG_DONTWAIT = 0x40;
/** Waits for the first message only, and takes what else is there. */
const MSG_WAITFORONE = 0x1_0000;
const EINTR = 4;
const EAGAIN = 11;
/** Room for a socket address, so that each starts at a multiple of eight. */
export const PEER_STRIDE = 32;

/** How many messages are taken and sent with one call: more did not make it faster. */
export const BATCH_SLOTS = 64;
/** Room for one message. Longer ones, which no resolver sends as a question, lose their end. */
const SLOT_BYTES = 4096;
/** From one message to the next: were it a power of two, all would share the same few lines of the processor's cache. */
export const SLOT_STRIDE = SLOT_BYTES + 128;

/**
 * Takes many messages from a UDP socket with one system call, and sends many with another (Linux `recvmmsg`,
 * `sendmmsg`). All memory is taken once; messages stay where they are, so that an answer may be written over its
 * question, and the headers that came with the questions go with the answers. For a thread that has nothing else to
 * do: {@link receive} blocks it.
 */
export class UdpBatch {
  /** All slots: one begins {@link SLOT_STRIDE} bytes behind the one before. */
  readonly packets: ArrayBuffer;
  readonly #fd: number;
  readonly #others: readonly number[];
  readonly #errno: () => number;
  readonly #recvmmsg: Call;
  readonly #sendmmsg: Call;
  /** The socket addresses of who sent what is in the slots, {@link PEER_STRIDE} bytes each. */
  readonly peers: Uint8Array;
  readonly #headers: MessageHeaders;
  readonly #headersAt: bigint;
  #count = 0;
  /** Whether `fd` had no more messages when it was looked at last, and nothing was done since. */
  #isDrained = true;
  /** What is queued: the slots from the one to before the other. */
  #first = 0;
  #end = 0;

  /**
   * @param others sockets of the same address and port, of which messages are taken when `fd` has no more: the kernel
   * gives a client's to one of them, however much it has to do.
   */
  constructor(libc: Libc, fd: number, others: readonly number[] = []) {
    this.#fd = fd;
    this.#others = others;
    this.#errno = () => libc.errno();
    this.#recvmmsg = call(
      libc,
      "int recvmmsg(int fd, uintptr_t messages, uint count, int flags, uintptr_t timeout)",
    );
    this.#sendmmsg = call(libc, "int sendmmsg(int fd, uintptr_t messages, uint count, int flags)");
    const packets = libc.allocate(BATCH_SLOTS * SLOT_STRIDE);
    const names = libc.allocate(BATCH_SLOTS * PEER_STRIDE);
    const iovecs = libc.allocate(4 * IOVEC_WORDS * BATCH_SLOTS);
    const headers = libc.allocate(4 * MMSGHDR_WORDS * BATCH_SLOTS);
    this.packets = packets.buffer;
    this.peers = new Uint8Array(names.buffer);
    this.#headersAt = headers.address;
    this.#headers = new MessageHeaders(
      new Uint32Array(headers.buffer),
      new Uint32Array(iovecs.buffer),
    );
    for (let slot = 0; slot < BATCH_SLOTS; slot++) {
      const place = {
        name: names.address + BigInt(slot * PEER_STRIDE),
        nameBytes: SOCKET_ADDRESS_BYTES,
        base: packets.address + BigInt(slot * SLOT_STRIDE),
        baseBytes: SLOT_BYTES,
      };
      this.#headers.write(slot, place, iovecs.address);
    }
  }

  /**
   * Waits for messages, which fill the first slots.
   * @returns how many; 0 when the socket's time-out passed or it was woken.
   * @throws SystemCallError when the socket cannot be read.
   */
  receive(): number {
    for (let slot = 0; slot < this.#count; slot++) {
      this.#headers.setNameBytes(slot, SOCKET_ADDRESS_BYTES);
      this.#headers.setBytes(slot, SLOT_BYTES);
    }
    this.#first = 0;
    this.#end = 0;
    if (!this.#isDrained) {
      const more = this.#takeOwn(MSG_DONTWAIT);
      if (more > 0) return more;
    }
    for (const other of this.#others) {
      const theirs = this.#take(other, MSG_DONTWAIT);
      this.#isDrained = theirs <= 0;
      if (theirs > 0) return theirs;
    }
    const count = this.#takeOwn(MSG_WAITFORONE);
    if (count >= 0) return count;
    const errno = this.#errno();
    if (errno === EAGAIN || errno === EINTR) return 0;
    throw new SystemCallError("recvmmsg", errno);
  }

  #takeOwn(flags: number): number {
    const count = this.#take(this.#fd, flags);
    this.#isDrained = count < BATCH_SLOTS;
    return count;
  }

  #take(fd: number, flags: number): number {
    const count = this.#recvmmsg(fd, this.#headersAt, BATCH_SLOTS, flags, 0);
    this.#count = Math.max(0, count);
    return count;
  }

  /** How many bytes of the message in a slot came. */
  length(slot: number): number {
    return Math.min(SLOT_BYTES, this.#headers.receivedBytes(slot));
  }

  /** A copy of the socket address of who sent it. */
  peer(slot: number): Uint8Array {
    const start = slot * PEER_STRIDE;
    return this.peers.slice(start, start + this.#headers.nameBytes(slot));
  }

  /**
   * Has the first bytes of a slot sent to who sent what was in it, by the next {@link send} at the latest. Slots that
   * are queued one behind the other go with one system call.
   */
  queue(slot: number, bytes: number): void {
    if (slot !== this.#end) {
      this.send();
      this.#first = slot;
    }
    this.#headers.setBytes(slot, bytes);
    this.#end = slot + 1;
  }

  /** Sends what was queued. What the kernel does not take is dropped, as a full network does. */
  send(): void {
    while (this.#first < this.#end) {
      const at = this.#headersAt + BigInt(4 * MMSGHDR_WORDS * this.#first);
      const count = this.#sendmmsg(this.#fd, at, this.#end - this.#first, MSG_DONTWAIT);
      // The first of them failed, and the others may not.
      this.#first += Math.max(1, count);
    }
  }
}

type Call = (...values: (number | bigint)[]) => number;

function call(libc: Libc, declaration: string): Call {
  // The declarations say what comes back: an int, which is a number.
  return libc.func(declaration) as Call;
}
