import { createEventRecorder } from "../../client/events.ts";
import type { ApiClient } from "../../client/client.ts";
import type { Informers } from "../../client/informer.ts";
import { loadLibc } from "../../kernel/libc.ts";
import { singleAddress } from "../../net/cidr.ts";
import { AppliedLease } from "../../proxy/applied-lease.ts";
import { startProxy } from "../../proxy/loop.ts";
import { NftablesDataPlane } from "../../proxy/nftables/data-plane.ts";
import { NetlinkTables } from "../../proxy/nftables/netlink-tables.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { Disposables } from "../disposables.ts";
import type { NodeConfig } from "./parts.ts";

/** What each part of a node reaches the API by, as its own user. */
export interface NodeParts {
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Serves Services by the kernel of this network namespace. @throws Error when the kernel cannot be programmed. */
export async function startNodeProxy(
  deps: NodeParts,
  config: NodeConfig,
): Promise<AsyncDisposable & { ready(signal: AbortSignal): Promise<void> }> {
  const { client, informers, metrics } = deps;
  const log = deps.log.with({ component: "proxy" });
  const load = await loadLibc();
  if (load.kind === "missing") throw new Error(`nftables cannot be reached: ${load.reason}`);
  const opened = new Disposables();
  const tables = new NetlinkTables(load.libc);
  opened.add({
    [Symbol.asyncDispose]: () => {
      tables[Symbol.dispose]();
      return Promise.resolve();
    },
  });
  const internalRanges = [...config.podRanges, ...config.addresses.map(singleAddress)];
  const dataPlane = opened.add(
    await NftablesDataPlane.open(
      { tables, log },
      {
        podRanges: config.podRanges,
        internalRanges,
        serviceRanges: config.serviceCidrs,
        masqueradeAll: false,
      },
    ),
  );
  const recorder = { client, component: "portolan-proxy", host: config.name, now: Date.now, log };
  const events = opened.add(createEventRecorder(recorder));
  const applied = opened.add(new AppliedLease({ client, log, now: Date.now }, config.name));
  const proxy = opened.add(
    startProxy(
      { informers, client, events, dataPlane, applied, log, metrics },
      { nodeName: config.name, nodePortAddresses: config.addresses, internalRanges },
    ),
  );
  return {
    ready: (signal) => proxy.ready(signal),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
