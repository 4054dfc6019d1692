/**
 * What the API server asks of a store: ordered keys with revisions, compare-and-set, range, watch from a
 * revision, compaction. It is what etcd v3 offers, so that etcd is a thin adapter. Every implementation
 * passes `store.contract.ts`.
 */

/** A stored value and its history. Revisions are whole numbers that grow with every commit of the store. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Revision of the commit that created the key. */
  readonly createRevision: number;
  /** Revision of the commit that last wrote the key. */
  readonly modRevision: number;
}

/** Holds when the key was last written at exactly this revision; 0 means the key does not exist. */
export interface Compare {
  readonly key: string;
  readonly modRevision: number;
}

export type Write =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string };

export type CommitResult =
  | { readonly kind: "committed"; readonly revision: number }
  /** Nothing was written; `current` is what the first failing key holds now. */
  | { readonly kind: "conflict"; readonly key: string; readonly current: Entry | undefined };

export interface RangeOptions {
  /** All keys that start with this. */
  readonly prefix: string;
  /** First key wanted, inside the prefix; default is the prefix. */
  readonly start?: string;
  /** At most so many entries; default all. */
  readonly limit?: number;
  /** The state as it was at this revision; default is now. @throws CompactedError when that is gone. */
  readonly revision?: number;
}

export interface RangeResult {
  readonly entries: readonly Entry[];
  /** The store's revision that the entries belong to. */
  readonly revision: number;
  /** There are entries beyond the limit. */
  readonly more: boolean;
}

export type StoreEvent =
  | { readonly kind: "put"; readonly entry: Entry; readonly previous: Entry | undefined }
  | {
      readonly kind: "delete";
      readonly key: string;
      readonly revision: number;
      readonly previous: Entry;
    };

export interface Store extends AsyncDisposable {
  /** Revision of the newest commit; 1 or more. */
  readonly revision: number;
  get(key: string): Promise<Entry | undefined>;
  range(options: RangeOptions): Promise<RangeResult>;
  /**
   * Writes all or nothing, durably: resolves after the data is on disk. All writes of one commit get the
   * same revision, and no key may occur twice.
   */
  commit(compare: readonly Compare[], writes: readonly Write[]): Promise<CommitResult>;
  /**
   * Every change after `afterRevision` under the prefix, in order, one array a commit; ends when `signal`
   * aborts. Only committed (durable) changes are seen.
   * @throws CompactedError when changes after that revision are gone, or when this reader fell further
   * behind than the store's bound.
   */
  watch(options: {
    readonly prefix: string;
    readonly afterRevision: number;
    readonly signal: AbortSignal;
  }): AsyncIterable<readonly StoreEvent[]>;
  /** Forgets history up to and including `revision`; the present state stays. */
  compact(revision: number): Promise<void>;
}

/** The history that was asked for has been compacted: list again (HTTP 410 Expired). */
export class CompactedError extends Error {
  readonly code = "COMPACTED";
  readonly compactedRevision: number;

  constructor(compactedRevision: number) {
    super(
      `required revision has been compacted; the oldest available is ${String(compactedRevision + 1)}`,
    );
    this.name = "CompactedError";
    this.compactedRevision = compactedRevision;
  }
}

/** The disk failed or is full: the store serves reads and refuses writes until it is opened again. */
export class StoreUnavailableError extends Error {
  readonly code = "STORE_UNAVAILABLE";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreUnavailableError";
  }
}
