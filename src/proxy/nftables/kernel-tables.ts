import type { ElementTime } from "../../kernel/nftables/element-writer.ts";
import type { TableRef } from "../../kernel/nftables/batch.ts";
import type { Element, TableState } from "../../kernel/nftables/kernel-state.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { ElementSink } from "./elements.ts";
import type { RefusedPart } from "./refused-part.ts";
import type { BaseChainSpec, ChainPack, SetName } from "./program.ts";

/** Steps that the kernel takes all at once or not at all, in their order. */
export interface Transaction {
  createTable(table: TableRef, comment: string): void;
  /** All sets and maps, and the empty dispatchers. */
  createSets(table: TableRef): void;
  createChains(table: TableRef, pack: ChainPack): void;
  /** From here on packets run through the table. */
  createHooks(table: TableRef, chains: readonly BaseChainSpec[]): void;
  deleteTable(table: TableRef): void;
  setRanges(table: TableRef, set: SetName, ranges: readonly Cidr[]): void;
  addRemembered(table: TableRef, key: Uint8Array, data: Uint8Array, time: ElementTime): void;
  /** Element changes of a table; they come after everything else. */
  elements(table: TableRef): ElementSink;
  /** Nothing was asked for yet. */
  readonly isEmpty: boolean;
  /** It makes chains, if only those of a class of affinity time-outs. */
  readonly hasChains: boolean;
  /** Elements of Services added and deleted so far. */
  readonly writes: { readonly added: number; readonly deleted: number };
  /** Bytes so far. */
  readonly size: number;
  /**
   * Hands it to the kernel. "in parts": what packets do not see yet may come in as many transactions as it takes.
   * @throws KernelRefusal
   */
  commit(how?: "at once" | "in parts"): Promise<void>;
}

/** The kernel's tables, through whatever way this machine offers. */
export interface KernelTables extends Disposable {
  /** How it is done, for logs. */
  readonly way: "netlink" | "nft";
  /** Nobody else can change the tables that we make. */
  readonly isOwner: boolean;
  /** A larger transaction is refused. */
  readonly maxTransaction: number;
  /** How often to ask for the generation: as often as asking costs next to nothing. */
  readonly lookEveryMs: number;
  list(): Promise<readonly TableState[]>;
  /** This process owns the table. */
  isOurs(table: TableState): boolean;
  begin(): Transaction;
  /** Changes with every transaction of anybody. */
  generation(): Promise<number>;
  /** Soon after many additions elements may be missing, or come twice. */
  dump(table: TableRef, set: SetName, each: (element: Element) => void): Promise<void>;
  /** Name of each chain and set with a digest of what the program puts there, to see what somebody changed. */
  shape(table: TableRef): Promise<ReadonlyMap<string, string>>;
}

/** The kernel did not take a transaction. */
export class KernelRefusal extends Error {
  readonly code = "KERNEL_REFUSAL";
  /** The system's error number, where it is known. */
  readonly errno: number | undefined;
  /** What of it the kernel did not take, where it says so. */
  readonly part: RefusedPart | undefined;

  constructor(
    message: string,
    errno: number | undefined,
    options: ErrorOptions & { readonly part?: RefusedPart | undefined } = {},
  ) {
    super(message, options);
    this.name = "KernelRefusal";
    this.errno = errno;
    this.part = options.part;
  }
}
