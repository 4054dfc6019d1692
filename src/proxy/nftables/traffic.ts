import { placeText } from "../../core/proxy/place.ts";
import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { Protocol } from "../../api/v1/service.ts";
import type { TableRef } from "../../kernel/nftables/batch.ts";
import { parsePort } from "../../net/host-port.ts";
import type { FrontendTraffic } from "../traffic.ts";
import type { FlowTable } from "./flow-cleaner.ts";
import { frontendBytes } from "./key-bytes.ts";
import type { KernelTables } from "./kernel-tables.ts";

const PROTOCOLS: readonly (readonly [number, Protocol])[] = [
  [6, "TCP"],
  [17, "UDP"],
];

/**
 * Reads all counters at once, only when asked: the packet path pays one increment a connection, and nothing for
 * what is open, which conntrack knows anyway. Costs as much as there are frontends and connections.
 */
export async function readTraffic(
  deps: { readonly tables: KernelTables; readonly flows: FlowTable | undefined },
  tables: readonly TableRef[],
  frontends: Iterable<Frontend>,
  withOpen: boolean,
): Promise<readonly FrontendTraffic[]> {
  // By the bytes of the elements' keys.
  const counts = new Map<string, number>();
  for (const table of tables) {
    await deps.tables.dump(table, "frontends", ({ key, packets }) => {
      if (packets !== undefined) counts.set(textOf(key), Number(packets));
    });
  }
  const open = openConnections(withOpen ? deps.flows : undefined);
  return Array.from(frontends, (frontend) => ({
    frontend,
    newConnections: counts.get(keyOf(frontend)),
    open: [...(open.get(frontendKey(frontend))?.values() ?? [])],
  }));
}

/** Kept for as long as the frontend is there: a scrape asks for each of them. */
const KEYS = new WeakMap<Frontend, string>();

function keyOf(frontend: Frontend): string {
  const known = KEYS.get(frontend);
  if (known !== undefined) return known;
  const key = textOf(frontendBytes(frontend));
  KEYS.set(frontend, key);
  return key;
}

/** A character a byte. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

type Open = FrontendTraffic["open"][number];

function openConnections(
  flows: FlowTable | undefined,
): ReadonlyMap<FrontendKey, ReadonlyMap<string, Open>> {
  const all = new Map<FrontendKey, Map<string, Open>>();
  for (const family of [2, 10] as const) {
    for (const [number, protocol] of PROTOCOLS) {
      flows?.dump(family, number, (flow) => {
        if (flow.hasEnded) return;
        const port = parsePort(flow.destinationPort);
        const answeringPort = parsePort(flow.replySourcePort);
        if (port === undefined || answeringPort === undefined) return;
        const key = frontendKey({ protocol, address: flow.destination, port });
        const endpoint = { address: flow.replySource, port: answeringPort };
        const text = placeText(endpoint);
        const byEndpoint = all.get(key) ?? new Map<string, Open>();
        all.set(key, byEndpoint);
        byEndpoint.set(text, { endpoint, count: (byEndpoint.get(text)?.count ?? 0) + 1 });
      });
    }
  }
  return all;
}
