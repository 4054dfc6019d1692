import type { ApiClient } from "../client/client.ts";
import { createEventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { parseIpAddress } from "../net/address.ts";
import { cidrAddress, parseCidr } from "../net/cidr.ts";
import { AppliedLease } from "../proxy/applied-lease.ts";
import { startProxy } from "../proxy/loop.ts";
import { UserspaceDataPlane } from "../proxy/userspace/data-plane.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Disposables } from "../async/disposables.ts";
import type { LoopbackRanges } from "./loopback-ranges.ts";

export interface LoopbackProxyDeps {
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Node ports are served on the node's own address and, since that is where a developer looks, on localhost. */
const LOCALHOST = parseIpAddress("127.0.0.1");
/** Every client is on this machine. */
const LOOPBACK = parseCidr("127.0.0.0/8");

/** Serves Services with sockets of this process on loopback addresses. */
export function startLoopbackProxy(
  deps: LoopbackProxyDeps,
  nodeName: string,
  ranges: LoopbackRanges,
): AsyncDisposable & { ready(signal: AbortSignal): Promise<void> } {
  const { client, informers, metrics } = deps;
  const log = deps.log.with({ component: "proxy" });
  if (LOCALHOST === undefined || LOOPBACK === undefined) throw new Error("loopback is no address");
  const node = { internalRanges: [LOOPBACK] };
  const opened = new Disposables();
  const dataPlane = opened.add(new UserspaceDataPlane({ log, metrics, node }));
  const events = opened.add(
    createEventRecorder({
      client,
      component: "portolan-proxy",
      host: nodeName,
      now: Date.now,
      log,
    }),
  );
  const applied = opened.add(new AppliedLease({ client, log, now: Date.now }, nodeName));
  const proxy = opened.add(
    startProxy(
      { informers, client, events, dataPlane, applied, log, metrics },
      {
        nodeName,
        nodePortAddresses: [cidrAddress(ranges.podCidr, 1n), LOCALHOST],
        internalRanges: node.internalRanges,
      },
    ),
  );
  return {
    ready: (signal) => proxy.ready(signal),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
