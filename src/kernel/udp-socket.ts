import { endianness } from "node:os";
import { getSystemErrorName } from "node:util";
import { ipFamilyOf } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET,
  AF_INET6,
  SOCKET_ADDRESS_BYTES,
  decodeSocketAddress,
  encodeSocketAddress,
} from "./socket-address.ts";

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_RCVTIMEO = 20;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SHUT_RD = 0;
const MSG_DONTWAIT = 0x40;

/** A call of the C library failed; `code` is the error's name, such as EADDRINUSE. */
export class SystemCallError extends Error {
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call}: ${code}`);
    this.name = "SystemCallError";
    this.code = code;
  }
}

export interface UdpSocketOptions {
  readonly address: IpAddress;
  /** 0 takes a free one. */
  readonly port: number;
  /** Whether other sockets of this user may have the same port, and share what arrives (SO_REUSEPORT). */
  readonly reusePort: boolean;
  /** What the kernel queues; it may grant less. */
  readonly receiveBufferBytes: number;
  /** After so long without a message a receiver sees to other things (SO_RCVTIMEO). */
  readonly receiveTimeoutMs: number;
}

/** A UDP socket outside of Node's loop. Its number may be used in any thread of this process. */
export interface UdpSocket extends Disposable {
  readonly fd: number;
  readonly port: number;
  /** @returns false when the message was dropped: the kernel's queue is full, or has no way to the peer. */
  send(message: Uint8Array, socketAddress: Uint8Array): boolean;
  /** Ends every wait for a message, now and later. */
  wake(): void;
}

/** Whether the layouts that are written here are this machine's. */
export function isSupportedMachine(): boolean {
  return endianness() === "LE" && (process.arch === "x64" || process.arch === "arm64");
}

/** Opens and binds a socket. @throws SystemCallError when the address cannot be bound. */
export function openUdpSocket(libc: Libc, options: UdpSocketOptions): UdpSocket {
  const calls = callsOf(libc);
  const isIpv6 = ipFamilyOf(options.address) === "IPv6";
  const check = (call: string, result: number): number => {
    if (result < 0) throw new SystemCallError(call, libc.errno());
    return result;
  };
  const family = isIpv6 ? AF_INET6 : AF_INET;
  const fd = check("socket", calls.socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const set = (level: number, option: number, values: Uint8Array): number =>
    calls.setsockopt(fd, level, option, values, values.length);
  try {
    if (isIpv6) check("setsockopt", set(IPPROTO_IPV6, IPV6_V6ONLY, int32(0)));
    if (options.reusePort) check("setsockopt", set(SOL_SOCKET, SO_REUSEPORT, int32(1)));
    // The kernel grants what it may.
    set(SOL_SOCKET, SO_RCVBUF, int32(options.receiveBufferBytes));
    const { receiveTimeoutMs } = options;
    check("setsockopt", set(SOL_SOCKET, SO_RCVTIMEO, timeval(receiveTimeoutMs)));
    const wanted = encodeSocketAddress(options.address, options.port);
    check("bind", calls.bind(fd, wanted, wanted.length));
    const bound = new Uint8Array(SOCKET_ADDRESS_BYTES);
    check("getsockname", calls.getsockname(fd, bound, int32(bound.length)));
    const port = decodeSocketAddress(bound)?.port;
    if (port === undefined) throw new Error("a bound socket has no port");
    let isOpen = true;
    return {
      fd,
      port,
      send: (message, to) =>
        isOpen && calls.sendto(fd, message, message.length, MSG_DONTWAIT, to, to.length) >= 0,
      wake: () => {
        // It fails for a socket that is not connected, and wakes whoever waits all the same.
        if (isOpen) calls.shutdown(fd, SHUT_RD);
      },
      [Symbol.dispose]: () => {
        if (isOpen) calls.close(fd);
        isOpen = false;
      },
    };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

interface Calls {
  socket(family: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  sendto(
    fd: number,
    message: Uint8Array,
    length: number,
    flags: number,
    to: Uint8Array,
    toLength: number,
  ): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
}

/** Numbers only: whatever a call takes or gives is bytes or an int. */
function callsOf(libc: Libc): Calls {
  const numeric = (declaration: string): ((...values: (number | Uint8Array)[]) => number) => {
    const func = libc.func(declaration);
    return (...values) => Number(func(...values));
  };
  return {
    socket: numeric("int socket(int family, int type, int protocol)"),
    setsockopt: numeric(
      "int setsockopt(int fd, int level, int option, uint8_t *value, uint length)",
    ),
    bind: numeric("int bind(int fd, uint8_t *address, uint length)"),
    // Written to by the call: JavaScript sees it, since koffi passes the memory of typed arrays.
    getsockname: numeric("int getsockname(int fd, uint8_t *address, uint8_t *length)"),
    sendto: numeric(
      "long sendto(int fd, uint8_t *message, size_t length, int flags, uint8_t *to, uint toLength)",
    ),
    shutdown: numeric("int shutdown(int fd, int how)"),
    close: numeric("int close(int fd)"),
  };
}

function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** `struct timeval`: seconds and microseconds, each of 64 bits. */
function timeval(ms: number): Uint8Array {
  const microseconds = BigInt(Math.round(ms * 1000));
  const parts = BigInt64Array.of(microseconds / 1_000_000n, microseconds % 1_000_000n);
  return new Uint8Array(parts.buffer);
}
