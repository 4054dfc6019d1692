import type { Libc } from "../../kernel/libc.ts";
import { NetlinkError, NetlinkSocket } from "../../kernel/netlink/netlink-socket.ts";
import { Batch, OWNED } from "../../kernel/nftables/batch.ts";
import type { TableRef } from "../../kernel/nftables/batch.ts";
import { ElementWriter } from "../../kernel/nftables/element-writer.ts";
import type { ElementTime } from "../../kernel/nftables/element-writer.ts";
import {
  dumpElements,
  listTables,
  readGeneration,
  readShape,
} from "../../kernel/nftables/kernel-state.ts";
import type { Element, TableState } from "../../kernel/nftables/kernel-state.ts";
import type { Cidr } from "../../net/cidr.ts";
import { digestOf } from "./element-ledger.ts";
import type { ElementSink } from "./elements.ts";
import { KernelRefusal } from "./kernel-tables.ts";
import type { KernelTables, Transaction } from "./kernel-tables.ts";
import { affinityPack, DISPATCHERS, isDispatched, OPS, setsOf } from "./program.ts";
import type { BaseChainSpec, ChainPack, SetName } from "./program.ts";
import { mergeRanges } from "./ranges.ts";
import { partText, refusedPart } from "./refused-part.ts";
import type { RefusedPart } from "./refused-part.ts";

const EPERM = 1;
/** What kernels say that do not know a flag or a feature. */
const UNSUPPORTED = new Set([22, 95]);

/** Tables through a netlink socket of this process. */
export class NetlinkTables implements KernelTables {
  readonly way = "netlink";
  readonly isOwner: boolean;
  readonly maxTransaction: number;
  readonly lookEveryMs = 200;
  readonly #socket: NetlinkSocket;

  /**
   * `ownership` "none" leaves the tables open to others, as kernels before 6.9 do.
   * @throws NetlinkError, KernelRefusal
   */
  constructor(libc: Libc, ownership: "auto" | "none" = "auto") {
    this.#socket = new NetlinkSocket(libc);
    this.maxTransaction = this.#socket.maxSend;
    try {
      readGeneration(this.#socket);
      this.isOwner = ownership === "auto" && this.#canOwn();
    } catch (error) {
      this.#socket[Symbol.dispose]();
      throw error;
    }
  }

  list(): Promise<readonly TableState[]> {
    return Promise.resolve(listTables(this.#socket));
  }

  isOurs(table: TableState): boolean {
    return table.owner === this.#socket.portId;
  }

  generation(): Promise<number> {
    return Promise.resolve(readGeneration(this.#socket));
  }

  begin(): Transaction {
    return new NetlinkTransaction(this, this.isOwner ? OWNED.owner | OWNED.persist : 0);
  }

  dump(table: TableRef, set: SetName, each: (element: Element) => void): Promise<void> {
    dumpElements(this.#socket, table, set, each);
    return Promise.resolve();
  }

  shape(table: TableRef): Promise<ReadonlyMap<string, string>> {
    const { chains, sets } = readShape(this.#socket, table);
    const digests = Array.from(sets, (name) => {
      const isDispatcher = DISPATCHERS.some((dispatcher) => dispatcher === name);
      return [`set ${name}`, isDispatcher ? this.#digest(table, name) : ""] as const;
    });
    return Promise.resolve(
      new Map([
        ...[...chains].map(([name, digest]) => [`chain ${name}`, digest] as const),
        ...digests,
      ]),
    );
  }

  /** Of a set that changes with the program only. */
  #digest(table: TableRef, set: string): string {
    let count = 0;
    let sum = 0;
    dumpElements(this.#socket, table, set, ({ key, data }) => {
      count++;
      sum = (sum + digestOf(key, data)) >>> 0;
    });
    return `${String(count)} ${String(sum)}`;
  }

  /** @throws KernelRefusal */
  send(batch: Uint8Array): void {
    let failures;
    try {
      ({ failures } = this.#socket.request(batch));
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      throw new KernelRefusal(`nf_tables: ${error.message}`, error.errno, { cause: error });
    }
    const [first] = failures;
    if (first !== undefined) {
      const part = refusedPart(batch, first);
      throw new KernelRefusal(messageOf(first.errno, part), first.errno, { part });
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** Tries it out with a table that is gone again. */
  #canOwn(): boolean {
    const probe: TableRef = { family: "ip", name: `portolan_probe_${String(this.#socket.portId)}` };
    const batch = new Batch();
    batch.newTable(probe, OWNED.owner | OWNED.persist, "");
    batch.deleteTable(probe);
    try {
      this.send(batch.finish());
      return true;
    } catch (error) {
      if (error instanceof KernelRefusal && UNSUPPORTED.has(error.errno ?? 0)) return false;
      throw error;
    }
  }
}

class NetlinkTransaction implements Transaction {
  readonly #tables: NetlinkTables;
  readonly #flags: number;
  readonly #batch = new Batch();
  readonly #emptySize = this.#batch.size;
  readonly #sinks = new Map<string, NetlinkElements>();
  #sets = 0;
  hasChains = false;

  constructor(tables: NetlinkTables, flags: number) {
    this.#tables = tables;
    this.#flags = flags;
  }

  get size(): number {
    let size = this.#batch.size;
    for (const sink of this.#sinks.values()) size += sink.size;
    return size;
  }

  get isEmpty(): boolean {
    if (this.#batch.size > this.#emptySize) return false;
    return ![...this.#sinks.values()].some((sink) => sink.hasWork);
  }

  get writes(): Transaction["writes"] {
    const sinks = [...this.#sinks.values()];
    return {
      added: sinks.reduce((sum, sink) => sum + sink.added, 0),
      deleted: sinks.reduce((sum, sink) => sum + sink.deleted, 0),
    };
  }

  createTable(table: TableRef, comment: string): void {
    this.#batch.newTable(table, this.#flags, comment);
  }

  createSets(table: TableRef): void {
    for (const set of Object.values(setsOf(table.family))) {
      this.#batch.newSet(table, set, ++this.#sets);
    }
    for (const name of DISPATCHERS) {
      const spec = { name, flags: 8, key: ["classid"], data: "verdict", size: OPS } as const;
      this.#batch.newSet(table, spec, ++this.#sets);
    }
  }

  createChains(table: TableRef, pack: ChainPack): void {
    this.hasChains = true;
    for (const chain of pack.chains) this.#batch.newChain(table, chain.name);
    for (const chain of pack.chains) {
      for (const rule of chain.rules) {
        this.#batch.newRule(
          table,
          chain.name,
          rule.flatMap((statement) => statement.expressions),
        );
      }
    }
    for (const dispatcher of DISPATCHERS) {
      const known = pack.ops.filter(([op]) => isDispatched(dispatcher, op));
      this.#batch.addVerdicts(
        table,
        dispatcher,
        known.map(([op, chain]) => [op, { kind: "goto", chain }]),
      );
    }
  }

  createHooks(table: TableRef, chains: readonly BaseChainSpec[]): void {
    for (const { name, base, rules } of chains) {
      this.#batch.newChain(table, name, base);
      for (const rule of rules) {
        this.#batch.newRule(
          table,
          name,
          rule.flatMap((statement) => statement.expressions),
        );
      }
    }
  }

  deleteTable(table: TableRef): void {
    this.#batch.deleteTable(table);
  }

  setRanges(table: TableRef, set: SetName, ranges: readonly Cidr[]): void {
    const writer = new ElementWriter("add", table, set);
    for (const { first, end } of mergeRanges(ranges)) writer.addRange(first, end);
    this.#batch.addMessages(writer.finish());
  }

  addRemembered(table: TableRef, key: Uint8Array, data: Uint8Array, time: ElementTime): void {
    this.#elements(table).addTimed("affinity", key, data, time);
  }

  elements(table: TableRef): ElementSink {
    return this.#elements(table);
  }

  commit(how: "at once" | "in parts" = "at once"): Promise<void> {
    // Rejects instead of throwing, so that callers have one way to fail.
    return new Promise((resolve) => {
      const sinks = [...this.#sinks.values()];
      for (const writers of [
        ...sinks.map(({ deletions }) => deletions),
        ...sinks.map(({ additions }) => additions),
      ]) {
        for (const writer of writers.values()) this.#batch.addMessages(writer.finish());
      }
      const limit = how === "in parts" ? this.#tables.maxTransaction : Infinity;
      for (const part of this.#batch.finishInParts(limit)) this.#tables.send(part);
      resolve();
    });
  }

  #elements(table: TableRef): NetlinkElements {
    const key = `${table.family} ${table.name}`;
    const known = this.#sinks.get(key);
    if (known !== undefined) return known;
    const made = new NetlinkElements(table, (pack) => {
      this.createChains(table, pack);
    });
    this.#sinks.set(key, made);
    return made;
  }
}

class NetlinkElements implements ElementSink {
  readonly deletions = new Map<SetName, ElementWriter>();
  readonly additions = new Map<SetName, ElementWriter>();
  readonly #table: TableRef;
  readonly #createChains: (pack: ChainPack) => void;
  added = 0;
  deleted = 0;

  constructor(table: TableRef, createChains: (pack: ChainPack) => void) {
    this.#table = table;
    this.#createChains = createChains;
  }

  get size(): number {
    let size = 0;
    for (const writer of this.deletions.values()) size += writer.size;
    for (const writer of this.additions.values()) size += writer.size;
    return size;
  }

  get hasWork(): boolean {
    return this.added + this.deleted > 0;
  }

  add(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void {
    this.added++;
    this.#writer("add", set).add(key, data, keyEnd);
  }

  addTimed(set: SetName, key: Uint8Array, data: Uint8Array, time: ElementTime): void {
    this.added++;
    this.#writer("add", set).add(key, data, undefined, time);
  }

  delete(set: SetName, key: Uint8Array, _data?: Uint8Array, keyEnd?: Uint8Array): void {
    this.deleted++;
    this.#writer("delete", set).add(key, undefined, keyEnd);
  }

  needAffinityClass(timeoutClass: number, timeoutSeconds: number): void {
    this.#createChains(affinityPack(this.#table.family, timeoutClass, timeoutSeconds));
  }

  #writer(kind: "add" | "delete", set: SetName): ElementWriter {
    const writers = kind === "add" ? this.additions : this.deletions;
    const known = writers.get(set);
    if (known !== undefined) return known;
    const made = new ElementWriter(kind, this.#table, set);
    writers.set(set, made);
    return made;
  }
}

function messageOf(errno: number, part: RefusedPart | undefined): string {
  const what = part === undefined ? "something that is needed" : partText(part);
  switch (errno) {
    case EPERM:
      return (
        "the kernel does not let this process change nftables (EPERM): " +
        "run it as root or with CAP_NET_ADMIN, or another process owns the table"
      );
    case 2:
      return part?.kind === "expression"
        ? `this kernel has no nf_tables ${what} (ENOENT): load the module nft_${part.name}, or another kernel`
        : `nf_tables lacks ${what} (ENOENT)`;
    case 95:
      return `this kernel does not support nf_tables ${what} (EOPNOTSUPP)`;
    case 12:
      return "the kernel is out of memory (ENOMEM)";
    case 90:
      return "the transaction is larger than the socket's buffer (EMSGSIZE)";
    default:
      return `nf_tables refused ${what} with errno ${String(errno)}`;
  }
}
