import {
  bigEndian,
  CMP,
  compare,
  counter,
  CT,
  ctLoad,
  dnat,
  DYNSET,
  fromMap,
  hash,
  inSet,
  mask,
  masquerade,
  META,
  metaLoad,
  metaSet,
  networkHeader,
  random,
  REJECT,
  reject,
  destinationAddressType,
  sourceAddressType,
  transportHeader,
  u32,
  verdict,
  verdictMap,
  writeElement,
} from "../../kernel/nftables/expression.ts";
import type { Expression, Register } from "../../kernel/nftables/expression.ts";
import type { TableFamily } from "../../kernel/nftables/batch.ts";
import { CLIENT_HASH_SEED, CLIENT_HASHES } from "../../core/proxy/source-hash.ts";

/** Something that a rule loads, in the words of `nft` and as what the kernel does. */
export interface Value {
  readonly text: string;
  /** Registers that it takes. */
  readonly width: number;
  readonly load: (at: Register) => readonly Expression[];
}

/** A part of a rule, in both forms. */
export interface Statement {
  readonly text: string;
  readonly expressions: readonly Expression[];
}

const TCP = Uint8Array.of(6);
const DNAT_STATUS = 0x20;
const INVALID_STATE = 1;
const LOCAL_ADDRESS = 2;

/**
 * `skb->priority` of a connection's first packet carries what has been found out about it: no other 32 bits can
 * be set from a map and read again without a lasting effect on the packet. Marks would change its route and
 * collide with those of others.
 */
export const carrier: Value = value("meta priority", 1, (at) => [metaLoad(META.priority, at)]);

export function carrierMasked(bits: number): Value {
  return value(`meta priority & 0x${bits.toString(16).padStart(8, "0")}`, 1, (at) => [
    metaLoad(META.priority, at),
    mask(bits, at),
  ]);
}

/** In network order, for sets of ranges. */
export const carrierInRange: Value = value("meta priority", 1, (at) => [
  metaLoad(META.priority, at),
  bigEndian(at),
]);

export const protocol: Value = value("meta l4proto", 1, (at) => [metaLoad(META.l4proto, at)]);
export const destinationPort: Value = value("th dport", 1, (at) => [transportHeader(2, 2, at)]);
export const originalPort: Value = value("ct original proto-dst", 1, (at) => [
  ctLoad(CT.proto_dst, at, 0),
]);

export function source(family: TableFamily): Value {
  const [offset, length] = family === "ip" ? [12, 4] : [8, 16];
  return value(`${family} saddr`, length / 4, (at) => [networkHeader(offset, length, at)]);
}

export function destination(family: TableFamily): Value {
  const [offset, length] = family === "ip" ? [16, 4] : [24, 16];
  return value(`${family} daddr`, length / 4, (at) => [networkHeader(offset, length, at)]);
}

/** What the client asked for, before translation. */
export function originalDestination(family: TableFamily): Value {
  const key = family === "ip" ? CT.dst_ip : CT.dst_ip6;
  return value(`ct original ${family} daddr`, family === "ip" ? 1 : 4, (at) => [
    ctLoad(key, at, 0),
  ]);
}

export function randomBelow(modulus: number): Value {
  return value(`numgen random mod ${String(modulus)}`, 1, (at) => [random(modulus, at)]);
}

/** The lower bits of {@link clientHash}. */
export function sourceHash(family: TableFamily, log2: number): Value {
  const from = source(family);
  const bits = 2 ** log2 - 1;
  const hex = `0x${bits.toString(16).padStart(8, "0")}`;
  return value(
    `((jhash ${from.text} mod ${String(CLIENT_HASHES)} seed 0x${CLIENT_HASH_SEED.toString(16)}) & ${hex})`,
    1,
    (at) => {
      // The address may need four registers, of which the hash leaves one.
      const scratch = at + (4 - (at % 4));
      return [
        ...from.load(scratch),
        hash(scratch, 4 * from.width, CLIENT_HASHES, CLIENT_HASH_SEED, at),
        mask(bits, at),
      ];
    },
  );
}

export function join(...parts: readonly Value[]): Value {
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  return value(parts.map((part) => part.text).join(" . "), width, (at) => {
    let next = at;
    return parts.flatMap((part) => {
      const expressions = part.load(next);
      next += part.width;
      return expressions;
    });
  });
}

/** The map's value for the key. A rule ends where there is none. */
export function looked(key: Value, map: string): Value {
  return value(`${key.text} map @${map}`, 1, (at) => [...key.load(at), fromMap(map, at, at)]);
}

export function setCarrier(to: Value): Statement {
  return {
    text: `meta priority set ${to.text}`,
    expressions: [...to.load(0), metaSet(META.priority, 0)],
  };
}

export const clearCarrier: Statement = setCarrier(carrierMasked(0));

export function isIn(key: Value, set: string): Statement {
  return { text: `${key.text} @${set}`, expressions: [...key.load(0), inSet(set, 0)] };
}

export function isNotIn(key: Value, set: string): Statement {
  return { text: `${key.text} != @${set}`, expressions: [...key.load(0), inSet(set, 0, true)] };
}

/** `nft` accepts a port in `dnat to` and in `ct original` only after this; the kernel does not need it. */
export const hasPorts: Statement = { text: "meta l4proto { tcp, udp, sctp }", expressions: [] };

export const isTcp: Statement = {
  text: "meta l4proto tcp",
  expressions: [...protocol.load(0), compare(CMP.eq, 0, TCP)],
};

export const isFromThisHost: Statement = {
  text: "fib saddr type local",
  expressions: [sourceAddressType(0), compare(CMP.eq, 0, u32(LOCAL_ADDRESS))],
};

export const isNotToThisHost: Statement = {
  text: "fib daddr type != local",
  expressions: [destinationAddressType(0), compare(CMP.neq, 0, u32(LOCAL_ADDRESS))],
};

export const isNotTranslated: Statement = {
  text: "ct status & dnat == 0",
  expressions: [ctLoad(CT.status, 0), mask(DNAT_STATUS, 0), compare(CMP.eq, 0, u32(0))],
};

export const isInvalid: Statement = {
  text: "ct state invalid",
  expressions: [ctLoad(CT.state, 0), mask(INVALID_STATE, 0), compare(CMP.neq, 0, u32(0))],
};

/** Sends the connection to the address and port that the map has for the key. */
export function translate(family: TableFamily, key: Value, map: string): Statement {
  const number = family === "ip" ? 2 : 10;
  return {
    text: `dnat ${family} to ${key.text} map @${map}`,
    expressions: [...key.load(0), fromMap(map, 0, 0), dnat(number, 0, family === "ip" ? 1 : 4)],
  };
}

/** Writes key and carrier into a map, for so long. */
export function remember(key: Value, map: string, timeoutSeconds: number): Statement {
  const time = `${String(timeoutSeconds)}s`;
  const data = dataRegister(key);
  return {
    text: `update @${map} { ${key.text} timeout ${time} : meta priority }`,
    expressions: [
      ...key.load(0),
      ...carrier.load(data),
      writeElement(DYNSET.update, map, 0, data, 1000 * timeoutSeconds),
    ],
  };
}

export function forget(key: Value, map: string): Statement {
  const data = dataRegister(key);
  return {
    text: `delete @${map} { ${key.text} : meta priority }`,
    expressions: [...key.load(0), ...carrier.load(data), writeElement(DYNSET.delete, map, 0, data)],
  };
}

/** The next whole group of four: nft puts it there, too, and can list what we wrote. */
function dataRegister(key: Value): Register {
  return 4 * Math.ceil(key.width / 4);
}

export function dispatchBy(key: Value, map: string): Statement {
  return { text: `${key.text} vmap @${map}`, expressions: [...key.load(0), verdictMap(map, 0)] };
}

export function goto(chain: string): Statement {
  return { text: `goto ${chain}`, expressions: [verdict({ kind: "goto", chain })] };
}

export const accept: Statement = { text: "accept", expressions: [verdict({ kind: "accept" })] };
export const drop: Statement = { text: "drop", expressions: [verdict({ kind: "drop" })] };
export const count: Statement = { text: "counter", expressions: [counter] };
export const hideSource: Statement = { text: "masquerade fully-random", expressions: [masquerade] };
export const resetTcp: Statement = {
  text: "reject with tcp reset",
  expressions: [reject(REJECT.tcpReset)],
};

/** ICMP port unreachable. */
export function unreachable(family: TableFamily): Statement {
  return { text: "reject", expressions: [reject(REJECT.icmp, family === "ip" ? 3 : 4)] };
}

function value(text: string, width: number, load: (at: Register) => readonly Expression[]): Value {
  return { text, width, load };
}
