/**
 * `struct mmsghdr` of Linux where pointers have 64 bits, x86-64 and arm64 alike, in words of 32 bits: where the
 * peer's address is (0, 1) and its length (2), where the `struct iovec`s are (4, 5) and how many (6, 7), control
 * data (8..11), flags (12), and how many bytes came or went (14).
 */
export const MMSGHDR_WORDS = 16;
/** `struct iovec`: where (0, 1), and how many bytes (2, 3). */
export const IOVEC_WORDS = 4;

/** A message of one piece, which is at `base`; memory by its address. */
export interface MessagePlace {
  readonly name: bigint;
  readonly nameBytes: number;
  readonly base: bigint;
  readonly baseBytes: number;
}

/** Messages for `recvmmsg` and `sendmmsg`: each has a header and one iovec. */
export class MessageHeaders {
  readonly #headers: Uint32Array;
  readonly #iovecs: Uint32Array;

  /** Both have room for as many messages as are used. */
  constructor(headers: Uint32Array, iovecs: Uint32Array) {
    this.#headers = headers;
    this.#iovecs = iovecs;
  }

  /** `iovecsAt` is where the iovecs are. */
  write(at: number, place: MessagePlace, iovecsAt: bigint): void {
    const iovec = iovecsAt + BigInt(4 * IOVEC_WORDS * at);
    setPointer(this.#headers, at * MMSGHDR_WORDS, place.name);
    this.#headers[at * MMSGHDR_WORDS + 2] = place.nameBytes;
    setPointer(this.#headers, at * MMSGHDR_WORDS + 4, iovec);
    this.#headers[at * MMSGHDR_WORDS + 6] = 1;
    setPointer(this.#iovecs, at * IOVEC_WORDS, place.base);
    this.#iovecs[at * IOVEC_WORDS + 2] = place.baseBytes;
  }

  /** How many bytes of a message came. */
  receivedBytes(at: number): number {
    return this.#headers[at * MMSGHDR_WORDS + 14] ?? 0;
  }

  /** How long the peer's address is: the kernel writes what it used. */
  nameBytes(at: number): number {
    return this.#headers[at * MMSGHDR_WORDS + 2] ?? 0;
  }

  setNameBytes(at: number, bytes: number): void {
    this.#headers[at * MMSGHDR_WORDS + 2] = bytes;
  }

  setBytes(at: number, bytes: number): void {
    this.#iovecs[at * IOVEC_WORDS + 2] = bytes;
  }
}

function setPointer(words: Uint32Array, at: number, address: bigint): void {
  words[at] = Number(address & 0xffff_ffffn);
  words[at + 1] = Number(address >> 32n);
}
