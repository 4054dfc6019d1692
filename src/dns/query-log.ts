import type { ParsedQuery } from "../core/dns/decode.ts";
import type { LogConfig } from "../core/dns/corefile/small-directives.ts";
import { foldName, formatDomainName, isWithin } from "../core/dns/domain-name.ts";
import { PLAIN_UDP_BYTES, RCODE } from "../core/dns/message.ts";
import { formatClass, formatType } from "../core/dns/record-type.ts";
import type { Peer, Protocol } from "./listener.ts";
import { rcodeLabel } from "./metrics.ts";

export interface LoggedAnswer {
  readonly query: Exclude<ParsedQuery, { kind: "ignore" }>;
  readonly queryBytes: number;
  readonly answer: Uint8Array;
  readonly rcode: number;
  readonly protocol: Protocol;
  readonly peer: Peer;
  readonly ms: number;
}

/** CoreDNS's `{common}`; `{combined}` has the opcode behind it. */
const COMMON =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" ' +
  "{rcode} {>rflags} {rsize} {duration}";

/**
 * Writes a line for each answer that one of the rules wants.
 * @param local where questions come to; undefined when the block listens on several addresses.
 */
export function createQueryLog(
  rules: readonly LogConfig[],
  write: (line: string) => void,
  local?: string,
): (logged: LoggedAnswer) => void {
  return (logged) => {
    const rule = rules.find((candidate) => isWanted(candidate, logged));
    if (rule === undefined) return;
    const format = rule.format
      .replaceAll("{common}", COMMON)
      .replaceAll("{combined}", `${COMMON} {>opcode}`)
      .replaceAll("{local}", local === undefined ? "-" : inBrackets(local));
    const text = format.replaceAll(/\{[^}]+\}/g, (placeholder) => valueOf(placeholder, logged));
    write(`[INFO] ${text}`);
  };
}

function isWanted({ zones, classes }: LogConfig, { query, rcode, answer }: LoggedAnswer): boolean {
  const name = foldName(query.question?.name ?? []);
  if (!zones.some((zone) => isWithin(name, zone))) return false;
  if (classes.includes("all")) return true;
  // Nothing found: no such name, or none of the type (no answer records).
  const hasAnswers = ((answer[6] ?? 0) << 8) + (answer[7] ?? 0) > 0;
  if (rcode === RCODE.NXDOMAIN || (rcode === RCODE.NOERROR && !hasAnswers)) {
    return classes.includes("denial");
  }
  return classes.includes(rcode === RCODE.NOERROR ? "success" : "error");
}

function valueOf(placeholder: string, logged: LoggedAnswer): string {
  const { query, answer, peer } = logged;
  const { question, edns } = query;
  switch (placeholder) {
    case "{remote}":
      return inBrackets(peer.address);
    case "{port}":
      return String(peer.port);
    case "{>id}":
      return String(query.id);
    case "{>opcode}":
      return String(query.kind === "refuse" ? query.opcode : 0);
    case "{type}":
      return question === undefined ? "-" : formatType(question.type);
    case "{class}":
      return question === undefined ? "-" : formatClass(question.class);
    case "{name}":
      // Escaped, so that a name cannot make lines of its own.
      return question === undefined ? "-" : formatDomainName(foldName(question.name));
    case "{proto}":
      return logged.protocol === "udp" ? "udp" : "tcp";
    case "{size}":
      return String(logged.queryBytes);
    case "{>do}":
      return String(edns?.dnssecOk ?? false);
    case "{>bufsize}":
      return String(logged.protocol === "udp" ? (edns?.udpBytes ?? PLAIN_UDP_BYTES) : 65_535);
    case "{rcode}":
      return rcodeLabel(logged.rcode);
    case "{>rflags}":
      return flagsText(answer);
    case "{rsize}":
      return String(answer.length);
    case "{duration}":
      return `${(logged.ms / 1000).toFixed(9)}s`;
    default:
      return "-";
  }
}

function inBrackets(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

function flagsText(answer: Uint8Array): string {
  const bits = ((answer[2] ?? 0) << 8) | (answer[3] ?? 0);
  const flags: readonly (readonly [number, string])[] = [
    [0x8000, "qr"],
    [0x0400, "aa"],
    [0x0200, "tc"],
    [0x0100, "rd"],
    [0x0080, "ra"],
    [0x0020, "ad"],
    [0x0010, "cd"],
  ];
  return flags.flatMap(([bit, text]) => ((bits & bit) === 0 ? [] : [text])).join(",");
}
