import { diffBackends } from "../../core/proxy/backend-list.ts";
import type { TableChange } from "../../core/proxy/diff.ts";
import { frontendKey } from "../../core/proxy/frontend.ts";
import type { BackendSet, Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { Flow, FlowHandle } from "../../kernel/conntrack/conntrack.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { parsePort } from "../../net/host-port.ts";
import { placeText } from "../../core/proxy/place.ts";

const UDP = 17;

/** The kernel's memory of flows. */
export interface FlowTable {
  dump(family: 2 | 10, protocol: number, each: (flow: Flow) => void): void;
  delete(flows: readonly FlowHandle[]): void;
}

/**
 * UDP has no connections, but the kernel remembers flows: a client that keeps its port stays with an endpoint
 * that is gone for as long as it goes on sending. After a change of UDP frontends the flows are compared with
 * what should be, whatever the change was (CT-001..006); TCP ends by itself and is left alone (CT-008).
 */
export class FlowCleaner {
  readonly #flows: FlowTable;
  readonly #serviceRanges: readonly Cidr[];

  constructor(flows: FlowTable, serviceRanges: readonly Cidr[]) {
    this.#flows = flows;
    this.#serviceRanges = serviceRanges;
  }

  /** The change may have made flows wrong. */
  isNeeded(change: TableChange): boolean {
    return (
      change.added.some(isUdp) ||
      change.removed.some(isUdp) ||
      change.changed.some(({ before, after }) => isUdp(after) && hasLost(before, after))
    );
  }

  /**
   * Deletes the flows to endpoints that are no longer a frontend's. `removed` frontends are no more; with
   * `isStart` that is taken of every cluster IP without frontend. @returns how many were deleted.
   */
  clean(
    get: (key: FrontendKey) => Frontend | undefined,
    removed: ReadonlySet<FrontendKey>,
    isStart: boolean,
  ): number {
    const serving = new Map<BackendSet, ReadonlySet<string>>();
    const stale: FlowHandle[] = [];
    const look = (flow: Flow): void => {
      const port = parsePort(flow.destinationPort);
      if (port === undefined) return;
      const key = frontendKey({ protocol: "UDP", address: flow.destination, port });
      const frontend = get(key);
      if (frontend === undefined) {
        const wasOurs = removed.has(key) || (isStart && this.#isClusterIP(flow.destination));
        if (wasOurs && flow.replySource !== flow.destination) stale.push(flow.handle);
        return;
      }
      const known = serving.get(frontend.target) ?? endpointsOf(frontend.target);
      serving.set(frontend.target, known);
      const by = `${flow.replySource} ${String(flow.replySourcePort)}`;
      if (!known.has(by)) stale.push(flow.handle);
    };
    for (const family of [2, 10] as const) this.#flows.dump(family, UDP, look);
    if (stale.length > 0) this.#flows.delete(stale);
    return stale.length;
  }

  #isClusterIP(address: IpAddress): boolean {
    return this.#serviceRanges.some((range) => cidrContains(range, address));
  }
}

function isUdp(frontend: Frontend): boolean {
  return frontend.protocol === "UDP";
}

function hasLost(before: Frontend, after: Frontend): boolean {
  if (before.target.service !== after.target.service) return true;
  return (["cluster", "local"] as const).some(
    (policy) => diffBackends(before.target[policy], after.target[policy]).removed.length > 0,
  );
}

function endpointsOf(target: BackendSet): ReadonlySet<string> {
  return new Set([...target.cluster, ...target.local].map(placeText));
}
