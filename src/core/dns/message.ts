import type { IpAddress } from "../../net/address.ts";
import type { DomainName } from "./domain-name.ts";

/** Record types by number (IANA "DNS Parameters"); those that this server speaks of by name. */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export const CLASS_IN = 1;

/** EDNS option that fills a message up (RFC 7830). */
export const PADDING_OPTION = 12;

/** What both sides may take without fragments on any sane path (DNS flag day 2020). */
export const EDNS_UDP_BYTES = 1232;
/** What a client that says nothing takes over UDP (RFC 1035 section 2.3.4). */
export const PLAIN_UDP_BYTES = 512;
/** What the length before a message on TCP can say. */
export const TCP_BYTES = 65_535;

export interface Question {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
}

/** The content of a record. Text of TXT strings has one character a byte. */
export type RecordData =
  | { readonly kind: "A" | "AAAA"; readonly address: IpAddress }
  | { readonly kind: "CNAME" | "NS" | "PTR"; readonly target: DomainName }
  | {
      readonly kind: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: DomainName;
    }
  | { readonly kind: "TXT"; readonly strings: readonly string[] }
  | SoaData
  /** Any other type: bytes, and names where the type has them, since a name may have been compressed. */
  | {
      readonly kind: "other";
      readonly type: number;
      readonly parts: readonly (Uint8Array | DomainName)[];
    };

interface SoaData {
  readonly kind: "SOA";
  readonly mname: DomainName;
  readonly rname: DomainName;
  readonly serial: number;
  readonly refreshSeconds: number;
  readonly retrySeconds: number;
  readonly expireSeconds: number;
  /** How long a negative answer may be kept (RFC 2308). */
  readonly minimumSeconds: number;
}

/** A record; of class IN where it does not say otherwise. */
export interface ResourceRecord {
  readonly name: DomainName;
  readonly class?: number;
  readonly ttlSeconds: number;
  readonly data: RecordData;
}

export interface Edns {
  /** How many bytes the sender takes over UDP. */
  readonly udpBytes: number;
  readonly dnssecOk: boolean;
  readonly version: number;
  /** Whether the sender hides its message's length (RFC 7830). */
  readonly isPadded?: boolean;
  /** When writing: the message's length is made a multiple of this. */
  readonly padToBytes?: number;
  /** When writing: options as they are on the wire. Those that were read are not kept. */
  readonly options?: Uint8Array;
}

export interface Message {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the upper bits that EDNS carries: 0..4095. */
  readonly rcode: number;
  readonly question: Question | undefined;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without the OPT record, which `edns` stands for. */
  readonly additional: readonly ResourceRecord[];
  readonly edns: Edns | undefined;
}

export function typeOf(data: RecordData): number {
  return data.kind === "other" ? data.type : TYPE[data.kind];
}
