import { ipFamilyOf, ipToBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { formatDomainName } from "./domain-name.ts";
import type { Question } from "./message.ts";

/** What an EDNS option that is sent to upstream servers may say of a question. */
export const OPTION_FACTS = ["qname", "qtype", "client_ip", "client_port", "protocol"] as const;

/** Puts an EDNS option into questions for upstream servers, where those of clients never go (CoreDNS `rewrite edns0`). */
export interface OptionRule {
  readonly code: number;
  /** `append` leaves an option of the code that an earlier rule put in; `unset` takes it out. */
  readonly action: "set" | "append" | "unset";
  readonly value:
    | { readonly kind: "bytes"; readonly bytes: Uint8Array }
    | { readonly kind: "fact"; readonly fact: (typeof OPTION_FACTS)[number] }
    /** The network that asks (RFC 7871): so many bits of its address. */
    | { readonly kind: "subnet"; readonly ipv4Bits: number; readonly ipv6Bits: number };
}

/** Who asks. */
export interface Asker {
  readonly address: IpAddress | undefined;
  readonly port: number;
  readonly protocol: "udp" | "tcp";
}

/** The options as they are on the wire, one behind the other; empty when there are none. */
export function upstreamOptions(
  rules: readonly OptionRule[],
  question: Question,
  asker: Asker,
): Uint8Array {
  const options = new Map<number, readonly number[]>();
  for (const { code, action, value } of rules) {
    if (action === "unset") options.delete(code);
    else if (action === "set" || !options.has(code)) {
      options.set(code, bytesOf(value, question, asker));
    }
  }
  return Uint8Array.from(
    [...options].flatMap(([code, bytes]) => [...uint16(code), ...uint16(bytes.length), ...bytes]),
  );
}

/** As CoreDNS writes them: numbers in two bytes, addresses in as many as they have, the rest as text. */
function bytesOf(value: OptionRule["value"], question: Question, asker: Asker): readonly number[] {
  if (value.kind === "bytes") return [...value.bytes];
  if (value.kind === "subnet") return subnetOf(asker, value.ipv4Bits, value.ipv6Bits);
  switch (value.fact) {
    case "qname":
      return textBytes(formatDomainName(question.name));
    case "qtype":
      return uint16(question.type);
    case "client_ip":
      return asker.address === undefined ? [] : [...ipToBytes(asker.address)];
    case "client_port":
      return uint16(asker.port);
    case "protocol":
      return textBytes(asker.protocol);
  }
}

/** RFC 7871 section 6: no more of the address than what the bits say, and nothing behind them. */
function subnetOf({ address }: Asker, ipv4Bits: number, ipv6Bits: number): readonly number[] {
  if (address === undefined) return [0, 0, 0, 0];
  const [family, bits] = ipFamilyOf(address) === "IPv4" ? [1, ipv4Bits] : [2, ipv6Bits];
  const bytes = ipToBytes(address).slice(0, Math.ceil(bits / 8));
  const last = bytes.at(-1);
  const kept = last === undefined ? [] : [last & (0xff << ((8 - (bits % 8)) % 8)) & 0xff];
  return [...uint16(family), bits, 0, ...bytes.slice(0, -1), ...kept];
}

function uint16(value: number): readonly number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

function textBytes(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
