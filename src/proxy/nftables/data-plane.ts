import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { TableChange } from "../../core/proxy/diff.ts";
import type { TableFamily, TableRef } from "../../kernel/nftables/batch.ts";
import { DORMANT } from "../../kernel/nftables/kernel-state.ts";
import { ipFamilyOf } from "../../net/address.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { DataPlane, FrontendProblem } from "../data-plane.ts";
import type { FrontendTraffic } from "../traffic.ts";
import { ElementLedger } from "./element-ledger.ts";
import type { ElementSink } from "./elements.ts";
import { ELEMENT_SETS, RANGE_SETS } from "./program.ts";
import type { SetName } from "./program.ts";
import { frontendProblem, NO_FAMILY } from "./frontend-problem.ts";
import type { FamilyModel } from "./family-model.ts";
import { FlowCleaner } from "./flow-cleaner.ts";
import type { FlowTable } from "./flow-cleaner.ts";
import { KernelRefusal } from "./kernel-tables.ts";
import type { KernelTables, Transaction } from "./kernel-tables.ts";
import {
  copyRemembered,
  createTable,
  hookTable,
  TABLE_COMMENT,
  TABLE_NAMES,
} from "./table-builder.ts";
import type { PlaneSettings } from "./table-builder.ts";
import { readTraffic } from "./traffic.ts";
import type { WriteMetrics } from "./write-metrics.ts";

const FAMILIES: readonly TableFamily[] = ["ip", "ip6"];
/** A cold start hands the kernel so much at once, and lets others have the thread in between. */
const CHUNK_BYTES = 1024 * 1024;
/**
 * For so long after a transaction a difference is believed only at the second reading: the kernel may be moving a set's
 * elements to a larger table.
 */
const SETTLE_MS = 2_000;

export interface NftablesDeps {
  readonly tables: KernelTables;
  /** Where flows are remembered; without it UDP clients with one port stay with endpoints that are gone. */
  readonly flows?: FlowTable | undefined;
  readonly log: Logger;
  /** Somebody else changed our tables, which by now are right again. */
  readonly onRepair?: (message: string) => void;
  /** The kernel lacks something, without which the rest is served; told again only when it is something else. */
  readonly onMissing?: (message: string) => void;
  /** Others' changes cannot be undone, and why; told again only when it is something else. */
  readonly onNotRepaired?: (message: string) => void;
  readonly writes?: WriteMetrics | undefined;
}

/** Another proxy has this node, or a table of ours is somebody else's. */
export class NodeTakenError extends Error {
  readonly code = "NODE_TAKEN";

  constructor(message: string) {
    super(message);
    this.name = "NodeTakenError";
  }
}

interface Live {
  readonly name: string;
  readonly models: ReadonlyMap<TableFamily, FamilyModel>;
  /** What the kernel should hold; kept only where others can change it. */
  readonly ledgers: ReadonlyMap<TableFamily, ElementLedger>;
}

/**
 * Serves frontends by the kernel's nf_tables: one table a family, whose chains never change, and maps whose
 * elements are the Services. Changes are transactions; connections that exist are conntrack's and not touched.
 * Disposal leaves the rules as they are.
 */
export class NftablesDataPlane implements DataPlane {
  readonly #deps: NftablesDeps;
  #settings: PlaneSettings;
  #live: Live | undefined;
  /** What a first or failed attempt must put into a new table. */
  readonly #wanted = new Map<FrontendKey, Frontend>();
  #queue: Promise<unknown> = Promise.resolve();
  #needsRebuild = true;
  #generation = 0;
  /** When the last transaction was. */
  #committedMs = 0;
  #shapes: readonly ReadonlyMap<string, string>[] = [];
  readonly #timer: NodeJS.Timeout;
  #isDisposed = false;
  /** What somebody changed that is not right again yet. */
  #damage: string | undefined;
  /** Why the last look failed; the next one tries again. */
  #lookFailure = "";
  /** What the kernel lacks, for people. */
  #missing = "";

  private constructor(deps: NftablesDeps, settings: PlaneSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#timer = setInterval(() => {
      // Failures are logged there.
      void this.look();
    }, deps.tables.lookEveryMs).unref();
  }

  /**
   * Takes the node over; what an earlier process programmed keeps working until the first change is applied.
   * @throws NodeTakenError
   */
  static async open(deps: NftablesDeps, settings: PlaneSettings): Promise<NftablesDataPlane> {
    await ourTables(deps.tables);
    return new NftablesDataPlane(deps, settings);
  }

  apply(change: TableChange): Promise<readonly FrontendProblem[]> {
    return this.#inTurn(async () => {
      for (const frontend of change.removed) this.#wanted.delete(frontendKey(frontend));
      const put = [...change.added, ...change.changed.map(({ after }) => after)];
      for (const frontend of put) this.#wanted.set(frontendKey(frontend), frontend);
      const isStart = this.#needsRebuild;
      if (isStart) await this.#rebuild();
      else await this.#change(change.removed, put);
      this.#cleanFlows(change, isStart);
      return put.flatMap((frontend) => this.#problemOf(frontend) ?? []);
    });
  }

  /** Makes the tables anew, whatever they hold, without a gap. */
  resync(settings: PlaneSettings = this.#settings): Promise<void> {
    return this.#inTurn(async () => {
      this.#settings = settings;
      await this.#rebuild();
    });
  }

  /** Looks whether somebody else changed our tables, and if so makes them right again. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#live === undefined || this.#isDisposed) return;
      // Who wanted a change that failed tries it again.
      if (this.#needsRebuild && this.#damage === undefined) return;
      try {
        const generation = await this.#deps.tables.generation();
        if (this.#damage === undefined && generation === this.#generation) return;
        this.#damage ??= await this.#difference(this.#live);
        const what = this.#damage;
        if (what === undefined) {
          this.#generation = generation;
          return;
        }
        await this.#rebuild();
        this.#deps.log.warn("nftables were changed by somebody else and are right again", { what });
        this.#deps.onRepair?.(`${what}; the rules were made anew`);
        this.#lookFailure = "";
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message === this.#lookFailure) return;
        this.#lookFailure = message;
        this.#deps.log.error("nftables cannot be looked after", { error });
        this.#deps.onNotRepaired?.(message);
      }
    });
  }

  /** Counts of every frontend and, with `open`, endpoint. @see ReadTraffic */
  traffic(open: boolean): Promise<readonly FrontendTraffic[]> {
    const { tables, flows } = this.#deps;
    return this.#inTurn(() =>
      this.#live === undefined
        ? Promise.resolve([])
        : readTraffic({ tables, flows }, tablesOf(this.#live), this.#wanted.values(), open),
    );
  }

  /** Name of the table that packets run through now. */
  get table(): string | undefined {
    return this.#live?.name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#timer);
    await this.#queue;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    // The caller hears of a failure; the queue goes on.
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** After the rules are right: a flow's next packet must find the new ones. */
  #cleanFlows(change: TableChange, isStart: boolean): void {
    const { flows, log } = this.#deps;
    if (flows === undefined) return;
    const cleaner = new FlowCleaner(flows, this.#settings.serviceRanges);
    if (!isStart && !cleaner.isNeeded(change)) return;
    const removed = new Set(change.removed.map(frontendKey));
    try {
      const deleted = cleaner.clean((key) => this.#wanted.get(key), removed, isStart);
      if (deleted > 0) log.debug("flows to endpoints that are gone were ended", { deleted });
    } catch (error) {
      // The rules stand; flows expire by themselves.
      log.warn("flows to endpoints that are gone cannot be ended", { error });
    }
  }

  async #change(removed: readonly Frontend[], put: readonly Frontend[]): Promise<void> {
    const live = this.#live;
    if (live === undefined) throw new Error("a change before there is a table");
    const transaction = this.#deps.tables.begin();
    fill(live, transaction, removed, put);
    if (transaction.size > this.#deps.tables.maxTransaction) {
      // Too large for one transaction; a new table takes over all at once as well.
      await this.#rebuild();
      return;
    }
    try {
      await this.#commit(transaction);
      const isWatched = !this.#deps.tables.isOwner;
      if (isWatched && transaction.hasChains) this.#shapes = await this.#readShapes(live);
    } catch (error) {
      if (!(error instanceof KernelRefusal)) throw error;
      this.#deps.log.warn("change refused by the kernel, making the rules anew", { error });
      await this.#rebuild();
    }
  }

  async #rebuild(): Promise<void> {
    // Until it has succeeded, models say nothing about the kernel.
    this.#needsRebuild = true;
    const { tables } = this.#deps;
    const old = await ourTables(tables);
    const hooked = this.#live?.name ?? old.find((table) => table.isHooked)?.name ?? "";
    const name = TABLE_NAMES.find((each) => each !== hooked) ?? TABLE_NAMES[0];
    await this.#drop(old.filter((table) => table.name === name));
    const models = await this.#createTables(name);
    const live: Live = {
      name,
      models,
      ledgers: new Map(
        tables.isOwner ? [] : Array.from(models.keys(), (family) => [family, new ElementLedger()]),
      ),
    };
    await this.#load(live);
    const from = old.filter((table) => table.name === hooked);
    await this.#copyRemembered(from, live);
    const hooks = tables.begin();
    for (const family of models.keys()) hookTable(hooks, { family, name }, this.#settings);
    await this.#commit(hooks);
    // In a transaction of its own: a packet on its way through the old hook must still find the old maps.
    await this.#drop(from);
    this.#deps.writes?.rebuilt();
    this.#live = live;
    this.#needsRebuild = false;
    this.#damage = undefined;
    this.#generation = await tables.generation();
    if (tables.isOwner) return;
    this.#shapes = await this.#readShapes(live);
    for (const [family, ledger] of live.ledgers) {
      for (const set of RANGE_SETS) await this.#note({ family, name }, set, ledger);
    }
  }

  /** A family that the kernel lacks is left out, as long as there is another. */
  async #createTables(name: string): Promise<ReadonlyMap<TableFamily, FamilyModel>> {
    const models = new Map<TableFamily, FamilyModel>();
    const refusals: KernelRefusal[] = [];
    for (const family of FAMILIES) {
      const made = await createTable(
        { family, name },
        this.#settings,
        () => this.#deps.tables.begin(),
        (transaction) => this.#commit(transaction),
      );
      refusals.push(...made.refusals);
      if (made.model !== undefined) models.set(family, made.model);
    }
    const [first] = refusals;
    if (models.size === 0 && first !== undefined) throw first;
    const missing = refusals.map(({ message }) => message).join("; ");
    if (missing !== "" && missing !== this.#missing) this.#deps.onMissing?.(missing);
    this.#missing = missing;
    return models;
  }

  async #load(live: Live): Promise<void> {
    let transaction = this.#deps.tables.begin();
    const limit = Math.min(CHUNK_BYTES, this.#deps.tables.maxTransaction / 2);
    for (const frontend of this.#wanted.values()) {
      fill(live, transaction, [], [frontend]);
      if (transaction.size < limit) continue;
      await this.#commit(transaction, "in parts");
      await new Promise((resolve) => setImmediate(resolve));
      transaction = this.#deps.tables.begin();
    }
    await this.#commit(transaction, "in parts");
  }

  /** Without it clients with affinity begin anew, and all else is served. */
  async #copyRemembered(from: readonly TableRef[], { name, models }: Live): Promise<void> {
    const { tables, log } = this.#deps;
    const memory = tables.begin();
    try {
      for (const [family, model] of models) {
        const source = from.find((table) => table.family === family);
        if (source === undefined) continue;
        await copyRemembered(tables, source, { family, name }, model, memory);
      }
      await this.#commit(memory, "in parts");
    } catch (error) {
      if (!(error instanceof KernelRefusal)) throw error;
      log.warn("what clients with affinity were given cannot be taken over", { error });
    }
  }

  async #drop(old: readonly TableRef[]): Promise<void> {
    if (old.length === 0) return;
    const transaction = this.#deps.tables.begin();
    for (const table of old) transaction.deleteTable(table);
    await this.#commit(transaction);
  }

  async #commit(transaction: Transaction, how?: "in parts"): Promise<void> {
    if (transaction.isEmpty) return;
    const { writes } = this.#deps;
    try {
      await transaction.commit(how);
    } catch (error) {
      writes?.refused();
      throw error;
    }
    writes?.committed(transaction);
    this.#committedMs = performance.now();
    // Each transaction of anybody raises it by one: any other number is somebody else's work. Of what was committed
    // in parts the number is read when the table is ready.
    this.#generation = (this.#generation + 1) >>> 0;
  }

  async #readShapes(live: Live): Promise<readonly ReadonlyMap<string, string>[]> {
    return Promise.all(tablesOf(live).map((table) => this.#deps.tables.shape(table)));
  }

  /** What somebody changed, for people; undefined when nothing of ours. */
  async #difference(live: Live): Promise<string | undefined> {
    const { tables } = this.#deps;
    const present = await tables.list();
    for (const { family } of tablesOf(live)) {
      const table = present.find((each) => each.family === family && each.name === live.name);
      if (table === undefined) return `table ${family} ${live.name} was deleted`;
      if ((table.flags & DORMANT) !== 0) return `table ${family} ${live.name} was made dormant`;
      if (tables.isOwner && !tables.isOurs(table)) {
        return `table ${family} ${live.name} belongs to another process`;
      }
    }
    if (tables.isOwner) return undefined;
    const shapes = await this.#readShapes(live);
    for (const [i, { family }] of tablesOf(live).entries()) {
      for (const [name, digest] of this.#shapes[i] ?? []) {
        const now = shapes[i]?.get(name);
        const table = `${family} ${live.name}`;
        if (now === undefined) return `${name} of table ${table} was deleted`;
        if (now !== digest) return `${name} of table ${table} was changed`;
      }
    }
    return this.#elementDifference(live);
  }

  async #elementDifference(live: Live): Promise<string | undefined> {
    for (const [family, ledger] of live.ledgers) {
      const table = { family, name: live.name };
      for (const set of [...ELEMENT_SETS, ...RANGE_SETS]) {
        const difference = await this.#setDifference(table, set, ledger);
        if (difference !== undefined) return `${difference} in table ${family} ${live.name}`;
      }
    }
    return undefined;
  }

  async #setDifference(
    table: TableRef,
    set: SetName,
    ledger: ElementLedger,
  ): Promise<string | undefined> {
    for (const isLast of [false, true]) {
      const there = new ElementLedger();
      await this.#note(table, set, there);
      const difference = ledger.difference(set, there);
      const isSettled = performance.now() - this.#committedMs > SETTLE_MS;
      if (difference === undefined || isSettled || isLast) return difference;
    }
    return undefined;
  }

  #note(table: TableRef, set: SetName, ledger: ElementLedger): Promise<void> {
    return this.#deps.tables.dump(table, set, ({ key, data }) => {
      ledger.note(set, key, data);
    });
  }

  #problemOf(frontend: Frontend): FrontendProblem | undefined {
    if (this.#live === undefined) return undefined;
    const model = this.#live.models.get(familyOf(frontend));
    const problem = model === undefined ? NO_FAMILY : model.problemOf(frontendKey(frontend));
    return problem && frontendProblem(frontend, problem, this.#missing);
  }
}

function fill(
  live: Live,
  transaction: Transaction,
  removed: readonly Frontend[],
  put: readonly Frontend[],
): void {
  for (const frontend of removed) {
    const family = familyOf(frontend);
    live.models.get(family)?.remove(frontend, sinkOf(live, transaction, family));
  }
  for (const frontend of put) {
    const family = familyOf(frontend);
    live.models.get(family)?.put(frontend, sinkOf(live, transaction, family));
  }
  for (const [family, model] of live.models) {
    model.finish(sinkOf(live, transaction, family));
  }
}

function tablesOf({ name, models }: Live): readonly TableRef[] {
  return Array.from(models.keys(), (family) => ({ family, name }));
}

function sinkOf(live: Live, transaction: Transaction, family: TableFamily): ElementSink {
  const sink = transaction.elements({ family, name: live.name });
  return live.ledgers.get(family)?.follow(sink) ?? sink;
}

function familyOf(frontend: Frontend): TableFamily {
  return ipFamilyOf(frontend.address) === "IPv4" ? "ip" : "ip6";
}

interface OldTable extends TableRef {
  readonly isHooked: boolean;
}

/**
 * The tables that an earlier process of ours left, or that this one made.
 * @throws NodeTakenError when another process has them, or they are not ours.
 */
async function ourTables(tables: KernelTables): Promise<readonly OldTable[]> {
  const found: OldTable[] = [];
  for (const table of await tables.list()) {
    if (!TABLE_NAMES.some((name) => name === table.name)) continue;
    const where = `table ${table.family} ${table.name}`;
    if (table.comment !== TABLE_COMMENT) {
      throw new NodeTakenError(
        `nftables has a ${where} that is not ours; rename it, or: nft delete ${where}`,
      );
    }
    if (table.owner !== undefined && !tables.isOurs(table)) {
      throw new NodeTakenError(
        `another portolan proxy is running here: it owns the ${where} (netlink port ${String(table.owner)})`,
      );
    }
    const shape = await tables.shape(table);
    found.push({ ...table, isHooked: shape.has("chain nat_prerouting") });
  }
  return found;
}

/**
 * Removes what a proxy left in the kernel; connections that exist go on. @returns the tables removed.
 * @throws NodeTakenError while a proxy is running.
 */
export async function removeTables(tables: KernelTables): Promise<readonly TableRef[]> {
  const found = await ourTables(tables);
  if (found.length > 0) {
    const transaction = tables.begin();
    for (const table of found) transaction.deleteTable(table);
    await transaction.commit();
  }
  return found;
}
