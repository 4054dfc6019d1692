import { ipFamilyOf, parseIpAddress } from "./address.ts";
import type { IpAddress } from "./address.ts";

/** A TCP, UDP or SCTP port, 0..65535; 0 asks for a free one. Made only by {@link parsePort}. */
export type Port = number & { readonly __brand: "Port" };

/** @returns the port, or undefined when the value is no whole number in 0..65535. */
export function parsePort(value: string | number): Port | undefined {
  const number = typeof value === "number" ? value : /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (!Number.isInteger(number) || number < 0 || number > 65_535) return undefined;
  // The only cast to Port.
  return number as Port;
}

/** Reads `127.0.0.1:80` or `[::1]:80`. @returns undefined when the text is neither. */
export function parseHostPort(
  text: string,
): { readonly address: IpAddress; readonly port: Port } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const address = parseIpAddress(match?.[1] ?? match?.[2] ?? "");
  const port = parsePort(match?.[3] ?? "");
  if (address === undefined || port === undefined) return undefined;
  return { address, port };
}

/** Writes `127.0.0.1:80` or `[::1]:80`. */
export function formatHostPort(address: IpAddress, port: number): string {
  return ipFamilyOf(address) === "IPv6"
    ? `[${address}]:${String(port)}`
    : `${address}:${String(port)}`;
}
