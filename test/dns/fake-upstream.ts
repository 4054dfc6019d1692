import { decodeMessage } from "../../src/core/dns/decode.ts";
import { encodeMessage } from "../../src/core/dns/encode.ts";
import type { Message, ResourceRecord } from "../../src/core/dns/message.ts";
import { listenBoth } from "../../src/dns/listen-both.ts";
import type { Protocol } from "../../src/dns/listener.ts";
import type { Upstream } from "../../src/dns/upstream.ts";
import { parseDomainName } from "../../src/core/dns/domain-name.ts";
import { parseIpAddress } from "../../src/net/address.ts";
import type { IpAddress } from "../../src/net/address.ts";
import { parsePort } from "../../src/net/host-port.ts";
import type { Port } from "../../src/net/host-port.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import type { Logger } from "../../src/telemetry/log.ts";

/** What an upstream says to a query: what differs from an empty answer; undefined keeps silent. */
export type Script = (query: Message, protocol: Protocol) => Partial<Message> | undefined;

export interface FakeUpstream extends Upstream, AsyncDisposable {
  /** Every query that came, in order. */
  readonly queries: readonly { readonly query: Message; readonly protocol: Protocol }[];
}

/** A resolver on 127.0.0.1, over UDP and TCP, that answers as the script says. */
export async function startUpstream(script: Script, on: Port = port(0)): Promise<FakeUpstream> {
  const queries: { query: Message; protocol: Protocol }[] = [];
  const respond = (bytes: Uint8Array, protocol: Protocol): Uint8Array | undefined => {
    const query = decodeMessage(bytes);
    if (query === undefined) return undefined;
    queries.push({ query, protocol });
    const answer = script(query, protocol);
    if (answer === undefined) return undefined;
    const message = { ...query, isResponse: true, recursionAvailable: true, ...answer };
    return encodeMessage(message, protocol === "tcp" ? 65_535 : (query.edns?.udpBytes ?? 512));
  };
  const address = ip("127.0.0.1");
  const listener = await listenBoth({ respond, log: silent }, { address, port: on });
  return {
    address,
    port: listener.port,
    queries,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

export const silent: Logger = createLogger({
  write: () => undefined,
  level: "error",
  format: "text",
  now: () => new Date(0),
});

/** An A record. */
export function a(name: string, address: string, ttlSeconds = 60): ResourceRecord {
  return { name: domain(name), ttlSeconds, data: { kind: "A", address: ip(address) } };
}

export function domain(text: string): readonly string[] {
  const name = parseDomainName(text);
  if (name === undefined) throw new Error(`not a name: ${text}`);
  return name;
}

export function ip(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

export function port(value: number): Port {
  const parsed = parsePort(value);
  if (parsed === undefined) throw new Error(`not a port: ${String(value)}`);
  return parsed;
}
