import type { MessageWriter } from "../netlink/message-writer.ts";

// Attribute numbers are those of linux/netfilter/nf_tables.h.
const EXPRESSION_NAME = 1;
const EXPRESSION_DATA = 2;
const DATA_VALUE = 1;
const DATA_VERDICT = 2;
const VERDICT_CODE = 1;
const VERDICT_CHAIN = 2;

/** One step of a rule: reads and writes registers, or ends the rule. */
export type Expression = (writer: MessageWriter) => void;

/** Where a value stands, in units of 4 bytes from the first register; there are sixteen. */
export type Register = number;

export type Verdict =
  | { readonly kind: "accept" | "drop" }
  | { readonly kind: "goto" | "jump"; readonly chain: string };

export const META = { priority: 2, iifname: 6, l4proto: 16 } as const;
export const CT = { state: 0, status: 2, proto_dst: 12, dst_ip: 20, dst_ip6: 22 } as const;
export const CMP = { eq: 0, neq: 1 } as const;
export const DYNSET = { update: 1, delete: 2 } as const;
export const REJECT = { icmp: 0, tcpReset: 1 } as const;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
/** Try every source port in random order: two clients that chose one port do not meet. */
const FULLY_RANDOM = 0x10;

export function metaLoad(key: number, into: Register): Expression {
  return expression("meta", (w) => {
    w.u32be(1, register(into));
    w.u32be(2, key);
  });
}

export function metaSet(key: number, from: Register): Expression {
  return expression("meta", (w) => {
    w.u32be(2, key);
    w.u32be(3, register(from));
  });
}

export function networkHeader(offset: number, length: number, into: Register): Expression {
  return payload(NETWORK_HEADER, offset, length, into);
}

export function transportHeader(offset: number, length: number, into: Register): Expression {
  return payload(TRANSPORT_HEADER, offset, length, into);
}

function payload(base: number, offset: number, length: number, into: Register): Expression {
  return expression("payload", (w) => {
    w.u32be(1, register(into));
    w.u32be(2, base);
    w.u32be(3, offset);
    w.u32be(4, length);
  });
}

/** `direction` 0 is that of the connection's first packet. */
export function ctLoad(key: number, into: Register, direction?: 0 | 1): Expression {
  return expression("ct", (w) => {
    w.u32be(1, register(into));
    w.u32be(2, key);
    if (direction !== undefined) w.u8(3, direction);
  });
}

/** A 32-bit AND, in place. */
export function mask(bits: number, at: Register): Expression {
  return expression("bitwise", (w) => {
    w.u32be(1, register(at));
    w.u32be(2, register(at));
    w.u32be(3, 4);
    w.u32be(6, 0);
    value(w, 4, u32(bits));
    value(w, 5, u32(0));
  });
}

/** Host to network order of 32 bits, in place. */
export function bigEndian(at: Register): Expression {
  return expression("byteorder", (w) => {
    w.u32be(1, register(at));
    w.u32be(2, register(at));
    w.u32be(3, 1);
    w.u32be(4, 4);
    w.u32be(5, 4);
  });
}

export function compare(operation: number, at: Register, with_: Uint8Array): Expression {
  return expression("cmp", (w) => {
    w.u32be(1, register(at));
    w.u32be(2, operation);
    value(w, 3, with_);
  });
}

/** A random number in [0, modulus). */
export function random(modulus: number, into: Register): Expression {
  return expression("numgen", (w) => {
    w.u32be(1, register(into));
    w.u32be(2, modulus);
    w.u32be(3, 1);
    w.u32be(4, 0);
  });
}

/** Bob Jenkins' hash of so many bytes, scaled to [0, modulus). */
export function hash(
  from: Register,
  length: number,
  modulus: number,
  seed: number,
  into: Register,
): Expression {
  return expression("hash", (w) => {
    w.u32be(1, register(from));
    w.u32be(2, register(into));
    w.u32be(3, length);
    w.u32be(4, modulus);
    w.u32be(5, seed);
    w.u32be(6, 0);
    w.u32be(7, 0);
  });
}

/** Ends the rule where the key is not in the set, or with `inverted` where it is. */
export function inSet(set: string, key: Register, inverted = false): Expression {
  return expression("lookup", (w) => {
    w.text(1, set);
    w.u32be(2, register(key));
    if (inverted) w.u32be(5, 1);
  });
}

/** The map's value for the key; ends the rule where there is none. */
export function fromMap(map: string, key: Register, into: Register): Expression {
  return expression("lookup", (w) => {
    w.text(1, map);
    w.u32be(2, register(key));
    w.u32be(3, register(into));
  });
}

/** Goes where the map's verdict says; ends the rule where there is none. */
export function verdictMap(map: string, key: Register): Expression {
  return expression("lookup", (w) => {
    w.text(1, map);
    w.u32be(2, register(key));
    w.u32be(3, 0);
  });
}

/** Writes a map's element from the packet path; `timeoutMs` starts anew with each update. */
export function writeElement(
  operation: number,
  map: string,
  key: Register,
  data: Register,
  timeoutMs?: number,
): Expression {
  return expression("dynset", (w) => {
    w.text(1, map);
    w.u32be(3, operation);
    w.u32be(4, register(key));
    w.u32be(5, register(data));
    if (timeoutMs !== undefined) w.u64be(6, BigInt(timeoutMs));
  });
}

/** Destination address from `address` and port from `port`; `family` 2 is IPv4, 10 IPv6. */
export function dnat(family: 2 | 10, address: Register, port: Register): Expression {
  return expression("nat", (w) => {
    w.u32be(1, 1);
    w.u32be(2, family);
    w.u32be(3, register(address));
    w.u32be(5, register(port));
  });
}

export const masquerade: Expression = expression("masq", (w) => {
  w.u32be(1, FULLY_RANDOM);
});

export function reject(type: number, icmpCode = 0): Expression {
  return expression("reject", (w) => {
    w.u32be(1, type);
    w.u8(2, icmpCode);
  });
}

/** Which kind of route the packet's source has: 2 is an address of this host. */
export function sourceAddressType(into: Register): Expression {
  return addressType(into, 1);
}

/** The same of its destination. */
export function destinationAddressType(into: Register): Expression {
  return addressType(into, 2);
}

function addressType(into: Register, flags: number): Expression {
  return expression("fib", (w) => {
    w.u32be(1, register(into));
    w.u32be(2, 3);
    w.u32be(3, flags);
  });
}

export const counter: Expression = expression("counter", (w) => {
  w.u64be(1, 0n);
  w.u64be(2, 0n);
});

export function verdict(what: Verdict): Expression {
  return expression("immediate", (w) => {
    w.u32be(1, 0);
    const data = w.begin(2);
    writeVerdict(w, what);
    w.end(data);
  });
}

/** A verdict as data: of an immediate expression, or of a verdict map's element. */
export function writeVerdict(writer: MessageWriter, what: Verdict): void {
  const start = writer.begin(DATA_VERDICT);
  writer.u32be(VERDICT_CODE, codeOf(what));
  if ("chain" in what) writer.text(VERDICT_CHAIN, what.chain);
  writer.end(start);
}

function codeOf(what: Verdict): number {
  switch (what.kind) {
    case "drop":
      return 0;
    case "accept":
      return 1;
    case "jump":
      return 0xffff_fffd;
    case "goto":
      return 0xffff_fffc;
  }
}

function expression(name: string, data: (writer: MessageWriter) => void): Expression {
  return (writer) => {
    writer.text(EXPRESSION_NAME, name);
    const start = writer.begin(EXPRESSION_DATA);
    data(writer);
    writer.end(start);
  };
}

function value(writer: MessageWriter, type: number, bytes: Uint8Array): void {
  const start = writer.begin(type);
  writer.binary(DATA_VALUE, bytes);
  writer.end(start);
}

/** 32 bits in the machine's order, as registers hold them. */
export function u32(number: number): Uint8Array {
  return Uint8Array.of(number, number >>> 8, number >>> 16, number >>> 24);
}

/** The kernel's number: every fourth has one of the four names for 16 bytes, as nft writes and reads it. */
function register(at: Register): number {
  return at % 4 === 0 ? 1 + at / 4 : 8 + at;
}
