import { readFileSync } from "node:fs";
import { parsePort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";

/**
 * High ports that stand in for one that this user may not bind, in order of trial: 8000 more (80 -> 8080,
 * 443 -> 8443, 53 -> 8053), or 18000 more where that is taken.
 */
export function standInPorts(port: Port): readonly Port[] {
  return [8000 + port, 18_000 + port].flatMap((each) => parsePort(each) ?? []);
}

/** Ports from here on are free to all users; 1024 unless the administrator lowered it. */
export function firstUnprivilegedPort(): number {
  const text = readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8");
  return Number(text.trim());
}
