import type { Cidr } from "../../../net/cidr.ts";
import { parseHostPort } from "../../../net/host-port.ts";
import { parseCidr, singleAddress } from "../../../net/cidr.ts";
import type { HostLine } from "../hosts-table.ts";
import { parseHostLine } from "../hosts-table.ts";
import type { DomainName } from "../domain-name.ts";
import { Directive } from "./directive.ts";

/** Which questions are written to the log, and how. */
export interface LogConfig {
  readonly zones: readonly DomainName[];
  /** With CoreDNS's placeholders, `{common}` and `{combined}` among them. */
  readonly format: string;
  readonly classes: readonly LogClass[];
}

const LOG_CLASSES = ["all", "success", "denial", "error"] as const;
export type LogClass = (typeof LOG_CLASSES)[number];

export function readLog(directive: Directive): LogConfig {
  const words = directive.rest();
  const format = words.find((word) => word.includes("{")) ?? "{common}";
  const names = words.filter((word) => word !== format);
  if (names.some((name) => name.includes("{"))) directive.fail("the format has to be in quotes");
  const classes: LogClass[] = [];
  directive.options({
    class: (option) => {
      for (const word of option.rest()) {
        const found = LOG_CLASSES.find((known) => known === word);
        classes.push(
          found ?? option.fail(`${JSON.stringify(word)} is none of ${LOG_CLASSES.join(", ")}`),
        );
      }
    },
  });
  return {
    zones: names.length === 0 ? [[]] : names.map((name) => directive.zone(name)),
    format,
    classes: classes.length === 0 ? ["all"] : classes,
  };
}

/** Addresses of names from a file and from the Corefile itself. */
export interface HostsConfig {
  /** Undefined: no file is named, and none is read when there are lines. */
  readonly path: string | undefined;
  readonly zones: readonly DomainName[];
  readonly lines: readonly HostLine[];
  readonly ttlSeconds: number;
  readonly hasReverse: boolean;
  readonly reloadMs: number;
  /** Names that have no line are others' to answer; the empty name stands for all. */
  readonly fallthrough: readonly DomainName[] | undefined;
}

export function readHosts(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
  blockZones: readonly DomainName[],
): HostsConfig {
  const [path, ...names] = directive.rest();
  const zones = names.flatMap(zonesOf);
  let ttlSeconds = 3600;
  let hasReverse = true;
  let reloadMs = 5000;
  let fallthrough: readonly DomainName[] | undefined;
  const lines: HostLine[] = [];
  const readers: Readonly<Record<string, (option: Directive) => void>> = {
    ttl: (option) => {
      ttlSeconds = option.integer("number of seconds", 0, 999_999_999);
    },
    no_reverse: () => {
      hasReverse = false;
    },
    reload: (option) => {
      reloadMs = option.duration("a duration");
    },
    fallthrough: (option) => {
      const into = option.rest().flatMap(zonesOf);
      fallthrough = into.length === 0 ? [[]] : into;
    },
  };
  for (const statement of directive.lines()) {
    const [first = ""] = statement.words;
    const option = new Directive(statement, directive.name);
    const read = Object.hasOwn(readers, first) ? readers[first] : undefined;
    if (read !== undefined) {
      read(option);
      option.end();
      continue;
    }
    const line = parseHostLine(statement.words.join(" "));
    if (line === undefined) {
      option.fail(
        `is not supported; there are ADDRESS NAME..., ${Object.keys(readers).join(", ")}`,
      );
    } else lines.push(line);
  }
  return {
    path: path ?? (lines.length > 0 ? undefined : "/etc/hosts"),
    zones: zones.length === 0 ? blockZones : zones,
    lines,
    ttlSeconds,
    hasReverse,
    reloadMs,
    fallthrough,
  };
}

/** Who may have zones whole. */
export interface TransferConfig {
  readonly zones: readonly DomainName[];
  /** Undefined: anybody. */
  readonly to: readonly Cidr[] | undefined;
}

export function readTransfer(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
  blockZones: readonly DomainName[],
): TransferConfig {
  const zones = directive.rest().flatMap(zonesOf);
  let isOpen = false;
  const peers: Cidr[] = [];
  directive.options({
    to: (option) => {
      for (const word of option.rest()) {
        if (word === "*") isOpen = true;
        else {
          // A port is where CoreDNS tells of changes; who asks has any.
          const address = parseHostPort(word)?.address ?? word;
          peers.push(parseCidr(word) ?? singleAddress(option.address(address)));
        }
      }
    },
  });
  if (!isOpen && peers.length === 0) directive.fail("to ADDRESS or to * is missing");
  return {
    zones: zones.length === 0 ? blockZones : zones,
    to: isOpen ? undefined : peers,
  };
}
