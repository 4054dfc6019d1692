import { parseCidr } from "../../../net/cidr.ts";
import { parsePort } from "../../../net/host-port.ts";
import type { Port } from "../../../net/host-port.ts";
import { foldName, parseDomainName } from "../domain-name.ts";
import type { DomainName } from "../domain-name.ts";
import { reverseZonesOf } from "../reverse-name.ts";
import { CorefileError } from "./corefile-error.ts";
import type { Position } from "./corefile-error.ts";

/** One of the names before a server block's braces: `[SCHEME://]ZONE[:PORT]`. */
export interface ServerKey {
  readonly scheme: "dns" | "tls";
  /** Folded; several where the zone is a range of addresses that is no whole number of labels. */
  readonly zones: readonly DomainName[];
  /** Undefined: the default of the scheme, or what the command line says. */
  readonly port: Port | undefined;
}

export function parseServerKey(text: string, at: Position): ServerKey {
  const [, scheme = "dns", rest = ""] = /^(?:([a-z+]+):\/\/)?(.*)$/.exec(text) ?? [];
  if (scheme !== "dns" && scheme !== "tls") {
    throw new CorefileError(at, `${text}: there are dns:// and tls://, not ${scheme}://`);
  }
  const portText = /:(\d+)$/.exec(rest)?.[1];
  const port = portText === undefined ? undefined : parsePort(portText);
  const zoneText = portText === undefined ? rest : rest.slice(0, -portText.length - 1);
  const zones = zonesOf(zoneText === "" ? "." : zoneText);
  if (zones.length === 0 || (portText !== undefined && port === undefined)) {
    throw new CorefileError(at, `${JSON.stringify(text)} is no zone such as example.org:53`);
  }
  return { scheme, zones, port };
}

/** The zone, or those that a range of addresses stands for; none when the text is neither. */
export function zonesOf(text: string): readonly DomainName[] {
  const cidr = parseCidr(text);
  if (cidr !== undefined) return reverseZonesOf(cidr);
  // A colon or slash is of a port or range that is written wrongly.
  const name = /[:/]/.test(text) ? undefined : parseDomainName(text);
  return name === undefined ? [] : [foldName(name)];
}
