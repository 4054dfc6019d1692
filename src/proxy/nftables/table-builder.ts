import type { TableFamily, TableRef } from "../../kernel/nftables/batch.ts";
import { cidrFamily } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { FamilyModel, hex } from "./family-model.ts";
import type { AffinityView } from "./family-model.ts";
import { KernelRefusal } from "./kernel-tables.ts";
import type { KernelTables, Transaction } from "./kernel-tables.ts";
import { baseChains, constantPack } from "./program.ts";
import type { ProgramOptions } from "./program.ts";

/** Names of our tables; two, so that a new one can be made while the old one still works. */
export const TABLE_NAMES = ["portolan", "portolan_next"] as const;
/** Comment of our tables: by it we know them from somebody else's of the same name. */
export const TABLE_COMMENT = "made by portolan proxy; changes are undone";

/** What is the same for every Service of a node. */
export interface PlaneSettings {
  /** Where Pods have their addresses: who comes from there keeps it on the way to a cluster IP. */
  readonly podRanges: readonly Cidr[];
  /** Sources for whom external addresses follow the internal policy: Pods and this node (NP-007). */
  readonly internalRanges: readonly Cidr[];
  /** Addresses in these without a Service get no answer (PROXY-027). */
  readonly serviceRanges: readonly Cidr[];
  readonly masqueradeAll: boolean;
}

/** Writes all of a table but its elements and its hooks: packets do not see it yet. */
function buildTable(
  transaction: Transaction,
  table: TableRef,
  settings: PlaneSettings,
  hasHash: boolean,
): void {
  transaction.createTable(table, TABLE_COMMENT);
  transaction.createSets(table);
  transaction.createChains(table, constantPack(table.family, hasHash));
  const own = (ranges: readonly Cidr[]): readonly Cidr[] =>
    ranges.filter((range) => cidrFamily(range) === ipFamily(table.family));
  transaction.setRanges(table, "pods", own(settings.podRanges));
  transaction.setRanges(table, "inside", own(settings.internalRanges));
  transaction.setRanges(table, "service_ranges", own(settings.serviceRanges));
}

/** What kernels say that lack a family, an expression or a kind of set. */
const MISSING = new Set<number | undefined>([2, 93, 95, 97]);

/**
 * Makes a table that packets do not see yet. A kernel that lacks what only some Services need gets one without it.
 * @returns the model of its elements, undefined when the kernel cannot have it at all; and what it refused.
 * @throws KernelRefusal for other reasons than what the kernel lacks.
 */
export async function createTable(
  table: TableRef,
  settings: PlaneSettings,
  begin: () => Transaction,
  commit: (transaction: Transaction) => Promise<void>,
): Promise<{
  readonly model: FamilyModel | undefined;
  readonly refusals: readonly KernelRefusal[];
}> {
  const refusals: KernelRefusal[] = [];
  for (const hasHash of [true, false]) {
    const transaction = begin();
    buildTable(transaction, table, settings, hasHash);
    try {
      await commit(transaction);
      return { model: new FamilyModel(hasHash), refusals };
    } catch (error) {
      if (!(error instanceof KernelRefusal && MISSING.has(error.errno))) throw error;
      refusals.push(error);
      if (error.part?.kind !== "expression" || error.part.name !== "hash") break;
    }
  }
  return { model: undefined, refusals };
}

/** Lets packets in. */
export function hookTable(
  transaction: Transaction,
  table: TableRef,
  settings: PlaneSettings,
): void {
  transaction.createHooks(table, baseChains(programOptions(table.family, settings)));
}

function programOptions(family: TableFamily, settings: PlaneSettings): ProgramOptions {
  const hasPods = settings.podRanges.some((range) => cidrFamily(range) === ipFamily(family));
  return {
    family,
    // Without knowing the Pods' ranges nobody can be told apart.
    masquerade: settings.masqueradeAll ? "all" : hasPods ? "outside" : "none",
  };
}

/**
 * What clients with affinity were given by the old table, for the new one, whose numbers are others: by
 * frontends and endpoints that both have.
 */
export async function copyRemembered(
  tables: KernelTables,
  from: TableRef,
  to: TableRef,
  model: FamilyModel,
  transaction: Transaction,
): Promise<void> {
  const ports = new Map<string, AffinityView>();
  /** Where a new number's memory comes from: a client may have one of each of two Service ports that are one now. */
  const sources = new Map<number, string>();
  const wanted = model.affinities();
  if (wanted.size === 0) return;
  await tables.dump(from, "frontends", ({ key, data }) => {
    const view = wanted.get(hex(key));
    // Only carriers with affinity have that op; others name lists in the same bits.
    if (view === undefined || data === undefined || !isAffinity(data)) return;
    const old = hex(data.subarray(2, 4));
    const source = sources.get(view.carrier) ?? old;
    if (source !== old) return;
    sources.set(view.carrier, old);
    ports.set(old, view);
  });
  const endpoints = new Map<string, Uint8Array>();
  for (const set of ["picked_cluster", "picked_local"] as const) {
    await tables.dump(from, set, ({ key, data }) => {
      if (data !== undefined) endpoints.set(hex(key), data.slice());
    });
  }
  await tables.dump(from, "affinity", ({ key, data, timeoutMs, expirationMs }) => {
    const view = ports.get(hex(key.subarray(2, 4)));
    const endpoint = data === undefined ? undefined : endpoints.get(hex(data));
    if (view === undefined || endpoint === undefined) return;
    const handle = view.handleOf(endpoint);
    if (handle === undefined || timeoutMs === undefined || expirationMs === undefined) return;
    const newKey = key.slice();
    const number = new DataView(newKey.buffer);
    number.setUint32(0, view.carrier, true);
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, handle, true);
    transaction.addRemembered(to, newKey, value, { timeoutMs, expirationMs });
  });
}

/** Bits 11..8 of the op are not zero for affinity alone, and its carrier's bits 15..12 are. */
function isAffinity(carrier: Uint8Array): boolean {
  return ((carrier[1] ?? 0) & 0x0f) !== 0 && ((carrier[1] ?? 0) & 0xf0) === 0;
}

function ipFamily(family: TableFamily): "IPv4" | "IPv6" {
  return family === "ip" ? "IPv4" : "IPv6";
}
