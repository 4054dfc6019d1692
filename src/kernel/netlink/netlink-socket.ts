import type { Libc } from "../libc.ts";
import { readAttributes, readMessages } from "./message-reader.ts";
import type { NetlinkMessage } from "./message-reader.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 0x3 | 0x80000 | 0x800;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
/** Answers were lost as the receive buffer was full; those in it are there. */
const ENOBUFS = 105;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** In the flags of a dump's message: something changed meanwhile, and the dump may miss or repeat items. */
const NLM_F_DUMP_INTR = 0x10;
/** In the flags of a refusal: attributes follow, after the error number and the header of what was refused. */
const NLM_F_ACK_TLVS = 0x200;
const ACK_HEADER = 20;
const ACK_OFFSET = 2;

/** A cold start's transaction has some megabytes; the kernel refuses a message larger than this buffer. */
const SEND_BUFFER = 32 * 1024 * 1024;
const RECEIVE_BUFFER = 4 * 1024 * 1024;
/** A datagram of a dump has at most 32 KiB. */
const DATAGRAM = 64 * 1024;

/** A request that the kernel refused; `errno` is positive, such as 1 for EPERM. */
export interface NetlinkFailure {
  readonly errno: number;
  /** Sequence number of the message that failed. */
  readonly sequence: number;
  /** Where in that message the attribute starts that the kernel did not like, if it says so. */
  readonly offset: number | undefined;
}

/** A system call on a netlink socket failed. */
export class NetlinkError extends Error {
  readonly code = "NETLINK";
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`${what}: errno ${String(errno)}`);
    this.name = "NetlinkError";
    this.errno = errno;
  }
}

/**
 * A socket to the kernel's netfilter. Requests are worked on while they are sent, so answers are there when
 * `send` returns and nothing here ever waits. Belongs to the network namespace in which it was opened.
 */
export class NetlinkSocket implements Disposable {
  readonly #calls: Calls;
  readonly #fd: number;
  readonly #datagram = new Uint8Array(DATAGRAM);
  /** The kernel's name for this socket: who owns a table. */
  readonly portId: number;
  /** Messages larger than this are refused (EMSGSIZE). */
  readonly maxSend: number;
  #isOpen = true;

  constructor(libc: Libc) {
    this.#calls = callsOf(libc);
    const calls = this.#calls;
    this.#fd = calls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_NETFILTER);
    if (this.#fd < 0) throw new NetlinkError("socket(AF_NETLINK)", libc.errno());
    const address = new Uint8Array(12);
    new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
    if (calls.bind(this.#fd, address, address.length) !== 0) {
      const errno = libc.errno();
      calls.close(this.#fd);
      throw new NetlinkError("bind(AF_NETLINK)", errno);
    }
    const length = new Uint8Array([12, 0, 0, 0]);
    calls.getsockname(this.#fd, address, length);
    this.portId = new DataView(address.buffer).getUint32(4, true);
    // Refusals without a copy of the message that was refused: it may be larger than what we read at once.
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
      calls.setsockopt(this.#fd, SOL_NETLINK, option, new Uint8Array([1, 0, 0, 0]), 4);
    }
    this.#setBuffer(SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
    this.#setBuffer(SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
    this.maxSend = this.#getBuffer(SO_SNDBUF) - 4096;
  }

  /**
   * Sends messages and reads what the kernel answers to them.
   * @throws NetlinkError when they could not be sent.
   */
  request(messages: Uint8Array): {
    readonly messages: readonly NetlinkMessage[];
    readonly failures: readonly NetlinkFailure[];
  } {
    this.#drop();
    this.#send(messages);
    const answers: NetlinkMessage[] = [];
    const failures: NetlinkFailure[] = [];
    let hasLost = false;
    for (;;) {
      const datagram = this.#receive();
      if (datagram === undefined) break;
      if (datagram === "lost") {
        hasLost = true;
        continue;
      }
      // A copy: the next answer overwrites the buffer.
      for (const message of readMessages(datagram.slice())) {
        if (message.type !== NLMSG_ERROR) {
          if (message.type !== NLMSG_DONE) answers.push(message);
          continue;
        }
        const failure = readFailure(message);
        if (failure.errno !== 0) failures.push(failure);
      }
    }
    // A batch of which every message is refused: the first refusals say why.
    if (hasLost && failures.length === 0)
      throw new NetlinkError("recv: all answers were lost", ENOBUFS);
    return { messages: answers, failures };
  }

  /**
   * Calls `each` for every message of a dump. The message's bytes are valid during the call only.
   * @returns whether the dump is one consistent picture; false when something changed while it ran.
   * @throws NetlinkError when the kernel refuses.
   */
  dump(request: Uint8Array, each: (message: NetlinkMessage) => void): boolean {
    this.#drop();
    this.#send(request);
    let isConsistent = true;
    for (;;) {
      const datagram = this.#receive();
      if (datagram === undefined) return isConsistent;
      if (datagram === "lost") throw new NetlinkError("dump", ENOBUFS);
      for (const message of readMessages(datagram)) {
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) isConsistent = false;
        if (message.type !== NLMSG_DONE && message.type !== NLMSG_ERROR) {
          each(message);
          continue;
        }
        // The end may be a failure as well: the set was deleted while it was listed.
        const { errno } = readFailure(message);
        if (errno !== 0) throw new NetlinkError("dump", errno);
        return isConsistent;
      }
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#calls.close(this.#fd);
  }

  #send(messages: Uint8Array): void {
    if (!this.#isOpen) throw new Error("request on a closed netlink socket");
    const sent = this.#calls.send(this.#fd, messages, messages.length, 0);
    if (sent < 0) {
      throw new NetlinkError(`send of ${String(messages.length)} bytes`, this.#calls.errno());
    }
  }

  /** undefined when nothing is there, "lost" when something was. The bytes are valid until the next call. */
  #receive(): Uint8Array | "lost" | undefined {
    const length = this.#calls.recv(this.#fd, this.#datagram, this.#datagram.length, MSG_DONTWAIT);
    if (length >= 0) return this.#datagram.subarray(0, length);
    const errno = this.#calls.errno();
    if (errno === EAGAIN) return undefined;
    if (errno === ENOBUFS) return "lost";
    throw new NetlinkError("recv", errno);
  }

  /** Late answers to earlier requests are nobody's. */
  #drop(): void {
    while (this.#receive() !== undefined);
  }

  /** What an unprivileged user gets is limited by a sysctl; the larger one needs CAP_NET_ADMIN. */
  #setBuffer(forced: number, plain: number, bytes: number): void {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setInt32(0, bytes, true);
    if (this.#calls.setsockopt(this.#fd, SOL_SOCKET, forced, value, 4) === 0) return;
    this.#calls.setsockopt(this.#fd, SOL_SOCKET, plain, value, 4);
  }

  #getBuffer(option: number): number {
    const value = new Uint8Array(4);
    const length = new Uint8Array([4, 0, 0, 0]);
    this.#calls.getsockopt(this.#fd, SOL_SOCKET, option, value, length);
    return new DataView(value.buffer).getInt32(0, true);
  }
}

/** Of a refusal, or of the end of a dump. */
function readFailure({ body, flags, sequence }: NetlinkMessage): NetlinkFailure {
  const errno =
    body.length < 4 ? 0 : -new DataView(body.buffer, body.byteOffset, 4).getInt32(0, true);
  const at =
    (flags & NLM_F_ACK_TLVS) === 0 ? undefined : readAttributes(body, ACK_HEADER).get(ACK_OFFSET);
  const offset =
    at?.length === 4 ? new DataView(at.buffer, at.byteOffset, 4).getUint32(0, true) : undefined;
  return { errno, sequence, offset };
}

interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: Uint8Array,
  ): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recv(fd: number, into: Uint8Array, length: number, flags: number): number;
  close(fd: number): number;
  errno(): number;
}

// Loaded once a process: each declaration makes a stub in memory.
const CALLS = new WeakMap<Libc, Calls>();

function callsOf(libc: Libc): Calls {
  const known = CALLS.get(libc);
  if (known !== undefined) return known;
  // Koffi's functions take and give what their declarations say, which its types do not know.
  const calls: Calls = {
    socket: libc.func("int socket(int domain, int type, int protocol)") as Calls["socket"],
    bind: libc.func("int bind(int fd, void *address, uint32_t length)") as Calls["bind"],
    getsockname: libc.func(
      "int getsockname(int fd, void *address, void *length)",
    ) as Calls["getsockname"],
    setsockopt: libc.func(
      "int setsockopt(int fd, int level, int name, void *value, uint32_t length)",
    ) as Calls["setsockopt"],
    getsockopt: libc.func(
      "int getsockopt(int fd, int level, int name, void *value, void *length)",
    ) as Calls["getsockopt"],
    send: libc.func("int64_t send(int fd, void *bytes, size_t length, int flags)") as Calls["send"],
    recv: libc.func("int64_t recv(int fd, void *into, size_t length, int flags)") as Calls["recv"],
    close: libc.func("int close(int fd)") as Calls["close"],
    errno: () => libc.errno(),
  };
  CALLS.set(libc, calls);
  return calls;
}
