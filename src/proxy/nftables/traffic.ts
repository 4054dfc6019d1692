import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Backend, Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { Protocol } from "../../api/v1/service.ts";
import type { TableFamily } from "../../kernel/nftables/batch.ts";
import { parsePort } from "../../net/host-port.ts";
import { hex } from "./family-model.ts";
import type { FlowTable } from "./flow-cleaner.ts";
import { frontendBytes } from "./key-bytes.ts";
import type { KernelTables } from "./kernel-tables.ts";

const PROTOCOLS: readonly (readonly [number, Protocol])[] = [
  [6, "TCP"],
  [17, "UDP"],
];

/** What goes through one frontend. */
export interface FrontendTraffic {
  readonly frontend: Frontend;
  /** New connections since its element was last written; begins anew when its list doubles or halves. */
  readonly newConnections: number;
  /** Connections that the kernel remembers, by endpoint; those that ended lately among them. */
  readonly open: readonly {
    readonly endpoint: Pick<Backend, "address" | "port">;
    readonly count: number;
  }[];
}

/**
 * Reads all counters at once, only when asked: the packet path pays one increment a connection, and nothing for
 * what is open, which conntrack knows anyway. Costs as much as there are frontends and connections.
 */
export async function readTraffic(
  deps: { readonly tables: KernelTables; readonly flows: FlowTable | undefined },
  table: string,
  frontends: Iterable<Frontend>,
): Promise<readonly FrontendTraffic[]> {
  const counts = new Map<string, number>();
  for (const family of ["ip", "ip6"] satisfies readonly TableFamily[]) {
    await deps.tables.dump({ family, name: table }, "frontends", ({ key, packets }) => {
      if (packets !== undefined) counts.set(hex(key), Number(packets));
    });
  }
  const open = openConnections(deps.flows);
  return Array.from(frontends, (frontend) => ({
    frontend,
    newConnections: counts.get(hex(frontendBytes(frontend))) ?? 0,
    open: [...(open.get(frontendKey(frontend))?.values() ?? [])],
  }));
}

type Open = FrontendTraffic["open"][number];

function openConnections(
  flows: FlowTable | undefined,
): ReadonlyMap<FrontendKey, ReadonlyMap<string, Open>> {
  const all = new Map<FrontendKey, Map<string, Open>>();
  for (const family of [2, 10] as const) {
    for (const [number, protocol] of PROTOCOLS) {
      flows?.dump(family, number, (flow) => {
        const port = parsePort(flow.destinationPort);
        const answeringPort = parsePort(flow.replySourcePort);
        if (port === undefined || answeringPort === undefined) return;
        const key = frontendKey({ protocol, address: flow.destination, port });
        const endpoint = { address: flow.replySource, port: answeringPort };
        const text = `${endpoint.address} ${String(endpoint.port)}`;
        const byEndpoint = all.get(key) ?? new Map<string, Open>();
        all.set(key, byEndpoint);
        byEndpoint.set(text, { endpoint, count: (byEndpoint.get(text)?.count ?? 0) + 1 });
      });
    }
  }
  return all;
}
