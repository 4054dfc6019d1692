import { networkInterfaces } from "node:os";
import { parseNameServers } from "../core/dns/resolv-conf.ts";
import { isLoopback, isUnspecified, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { parsePort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import { lookAtFile } from "./followed-file.ts";
import type { ListenAddress } from "./listener.ts";
import type { Upstream } from "./upstream.ts";

/** Who is asked for names outside the cluster, in order of preference; empty when there is nobody. */
export type UpstreamSource = () => Promise<readonly Upstream[]>;

/** A laptop that changes networks is followed within this time. */
const RECHECK_MS = 2000;

/**
 * The name servers of a resolv.conf. The file is read again when its time of change moves, looked at when
 * somebody asks, at most every two seconds. This server itself is never in the list: it would ask itself
 * without end.
 */
export function resolvConfUpstreams(
  deps: { readonly log: Logger; readonly nowMs: () => number },
  path: string,
  self: ListenAddress | undefined,
): UpstreamSource {
  let upstreams: readonly Upstream[] = [];
  let checkedMs = Number.NEGATIVE_INFINITY;
  const look = lookAtFile(path);
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    const found = await look();
    if (found.kind === "text") {
      upstreams = toUpstreams(found.text, self);
      const names = upstreams.map(({ address }) => address);
      deps.log.info("dns upstreams read", { path, upstreams: names.join(",") });
    } else if (found.kind === "unreadable") {
      // Without the file there is nobody to ask, until it is there again.
      upstreams = [];
      const { error, isNews } = found;
      if (isNews) deps.log.warn("dns upstreams not readable", { path, error });
    }
  };
  return async () => {
    if (deps.nowMs() - checkedMs >= RECHECK_MS) {
      checkedMs = deps.nowMs();
      reading = read();
    }
    await reading;
    return upstreams;
  };
}

function toUpstreams(text: string, self: ListenAddress | undefined): readonly Upstream[] {
  return parseNameServers(text).flatMap((address) => {
    const upstream = { address, port: DNS_PORT };
    return self !== undefined && isSelf(upstream, self) ? [] : [upstream];
  });
}

/** Whether asking `upstream` would be asking whoever listens on `self`. */
export function isSelf(upstream: Upstream, self: ListenAddress): boolean {
  if (upstream.port !== self.port) return false;
  if (upstream.address === self.address) return true;
  return isUnspecified(self.address) && isOfThisHost(upstream.address);
}

function isOfThisHost(address: IpAddress): boolean {
  if (isLoopback(address) || isUnspecified(address)) return true;
  return Object.values(networkInterfaces())
    .flatMap((infos) => infos ?? [])
    .some((info) => parseIpAddress(info.address) === address);
}

const DNS_PORT: Port = wellKnownPort();

function wellKnownPort(): Port {
  const port = parsePort(53);
  if (port === undefined) throw new Error("53 is a port");
  return port;
}
