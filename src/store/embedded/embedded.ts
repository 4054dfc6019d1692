import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { open } from "lmdb";
import type { Database, RootDatabase } from "lmdb";
import type {
  CommitResult,
  Compare,
  Entry,
  RangeOptions,
  RangeResult,
  Store,
  StoreEvent,
  Write,
} from "../store.ts";
import { CompactedError, StoreUnavailableError } from "../store.ts";
import { checkDataFile, CorruptStoreError } from "./data-file.ts";
import { WatcherSet } from "./watchers.ts";

/** What the `state` table holds for a key: create revision, mod revision, value. */
type StateRecord = readonly [createRevision: number, modRevision: number, value: string];

/**
 * What the `log` table holds for a revision: each changed key with its record before. What it was after is
 * before the next change of the key, or in `state`; so a value is on disk once, and old records can go whole.
 */
type LogRecord = readonly (readonly [key: string, before: StateRecord | null])[];

/** A change with both sides, as commits under way and events have it. */
type Change = readonly [key: string, before: StateRecord | null, after: StateRecord | null];

interface PendingCommit {
  readonly revision: number;
  readonly changes: readonly Change[];
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: Error) => void;
}

interface Versions {
  readonly createRevision: number;
  readonly modRevision: number;
}

export interface EmbeddedStoreOptions {
  /** Folder of the store's file; made when missing. One process at a time may open it. */
  readonly dir: string;
  /** Changes that a watcher may lag behind before it is cut off. Default 100,000. */
  readonly watcherBound?: number;
}

const FORMAT = 2;
/** Changes written in one disk transaction at most, so that one flush stays short. */
const MAX_BATCH = 512;

/**
 * The store of one machine: an LMDB file. All commits that arrive while a flush runs become the next flush.
 * Compare-and-set is decided in memory against keys and revisions, values stay on disk; a commit is
 * acknowledged, and seen by readers and watchers, after its flush.
 */
export class EmbeddedStore implements Store {
  readonly #root: RootDatabase;
  readonly #state: Database<StateRecord, string>;
  readonly #log: Database<LogRecord, number>;
  readonly #meta: Database<number, string>;
  /** Every live key with its revisions, commits under way included. */
  readonly #versions = new Map<string, Versions>();
  /** Values of commits under way, for `before` records; undefined: deleted. */
  readonly #unflushed = new Map<string, { record: StateRecord | null; revision: number }>();
  readonly #watchers: WatcherSet;
  #queue: PendingCommit[] = [];
  #flushing: Promise<void> | undefined;
  #assignedRevision: number;
  #durableRevision: number;
  #compactedRevision: number;
  #failure: StoreUnavailableError | undefined;
  /** All entries as opening has read them, for the first who reads everything; gone with the first change. */
  #opened: readonly Entry[] | undefined;

  /** @throws CorruptStoreError when the file is damaged, Error when the folder cannot be written. */
  static async open(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    const file = join(options.dir, "data.mdb");
    await checkDataFile(file);
    let root;
    try {
      // With lmdb's default (overlappingSync) a write is acknowledged before it is on disk.
      root = open({ path: file, noSubdir: true, overlappingSync: false, maxDbs: 4 });
    } catch (error) {
      throw new CorruptStoreError(file, String(error), { cause: error });
    }
    try {
      return new EmbeddedStore(root, file, options.watcherBound ?? 100_000);
    } catch (error) {
      await root.close();
      throw error;
    }
  }

  private constructor(root: RootDatabase, file: string, watcherBound: number) {
    this.#root = root;
    this.#state = root.openDB({ name: "state", compression: true });
    this.#log = root.openDB({ name: "log", compression: true });
    this.#meta = root.openDB({ name: "meta" });
    this.#watchers = new WatcherSet(watcherBound);
    const format = this.#meta.get("format") ?? FORMAT;
    if (format !== FORMAT) {
      throw new CorruptStoreError(
        file,
        `its format is ${String(format)}, this version reads ${String(FORMAT)}`,
      );
    }
    this.#durableRevision = this.#meta.get("revision") ?? 1;
    this.#assignedRevision = this.#durableRevision;
    this.#compactedRevision = this.#meta.get("compacted") ?? 0;
    const entries: Entry[] = [];
    for (const { key, value } of this.#state.getRange()) {
      if (!isStateRecord(value))
        throw new CorruptStoreError(file, `the record of ${key} is unreadable`);
      this.#versions.set(key, { createRevision: value[0], modRevision: value[1] });
      entries.push(entryOf(key, value));
    }
    this.#opened = entries;
  }

  get revision(): number {
    return this.#durableRevision;
  }

  get(key: string): Promise<Entry | undefined> {
    const record = this.#state.get(key);
    return Promise.resolve(record === undefined ? undefined : entryOf(key, record));
  }

  async range(options: RangeOptions): Promise<RangeResult> {
    const revision = options.revision ?? this.#durableRevision;
    if (revision < this.#compactedRevision) throw new CompactedError(this.#compactedRevision);
    const opened = this.#opened;
    const isWhole = options.start === undefined && options.limit === undefined;
    if (opened !== undefined && isWhole && revision >= this.#durableRevision) {
      this.#opened = undefined;
      const entries = opened.filter(({ key }) => key.startsWith(options.prefix));
      return { entries, revision: this.#durableRevision, more: false };
    }
    const start = options.start ?? options.prefix;
    const limit = options.limit ?? Number.MAX_SAFE_INTEGER;
    const end = endOf(options.prefix);
    if (revision >= this.#durableRevision) {
      const entries: Entry[] = [];
      for (const { key, value } of this.#state.getRange({ start, end })) {
        if (entries.length === limit)
          return { entries, revision: this.#durableRevision, more: true };
        entries.push(entryOf(key, value));
      }
      return { entries, revision: this.#durableRevision, more: false };
    }
    const entries = this.#stateAt(revision, start, end);
    return { entries: entries.slice(0, limit), revision, more: entries.length > limit };
  }

  async commit(compare: readonly Compare[], writes: readonly Write[]): Promise<CommitResult> {
    if (this.#failure !== undefined) throw this.#failure;
    const failed = compare.find(
      (c) => (this.#versions.get(c.key)?.modRevision ?? 0) !== c.modRevision,
    );
    if (failed !== undefined) {
      // The key may have been changed by a commit under way: answer with what will be there.
      while (this.#unflushed.has(failed.key)) await this.#flushing;
      return { kind: "conflict", key: failed.key, current: await this.get(failed.key) };
    }
    const revision = this.#assignedRevision + 1;
    const changes: Change[] = [];
    for (const write of writes) {
      const before = this.#recordOf(write.key);
      if (changes.some(([key]) => key === write.key)) {
        throw new Error(`a commit may write ${write.key} only once`);
      }
      if (write.kind === "delete" && before === null) continue;
      const after: StateRecord | null =
        write.kind === "put" ? [before?.[0] ?? revision, revision, write.value] : null;
      changes.push([write.key, before, after]);
    }
    if (changes.length === 0) return { kind: "committed", revision: this.#durableRevision };
    this.#assignedRevision = revision;
    this.#opened = undefined;
    for (const [key, , after] of changes) {
      this.#unflushed.set(key, { record: after, revision });
      if (after === null) this.#versions.delete(key);
      else this.#versions.set(key, { createRevision: after[0], modRevision: after[1] });
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ revision, changes, resolve, reject });
      this.#flushing ??= this.#flushAll();
    });
  }

  async *watch(options: {
    readonly prefix: string;
    readonly afterRevision: number;
    readonly signal: AbortSignal;
  }): AsyncIterable<readonly StoreEvent[]> {
    if (options.afterRevision < this.#compactedRevision) {
      throw new CompactedError(this.#compactedRevision);
    }
    // Registered before the log is read, so that nothing falls between the two.
    const live = this.#watchers.add(options.prefix, this.#durableRevision);
    try {
      const replay = this.#changesAfter(options.afterRevision, this.#durableRevision);
      for (const commit of replay) {
        if (options.signal.aborted) return;
        const events = commit.filter((event) => keyOf(event).startsWith(options.prefix));
        if (events.length > 0) yield events;
      }
      yield* live.events(options.signal);
    } finally {
      this.#watchers.remove(live);
    }
  }

  async compact(revision: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const target = Math.min(revision, this.#durableRevision);
    if (target <= this.#compactedRevision) return;
    const from = this.#compactedRevision;
    this.#compactedRevision = target;
    // In steps: removing a long history at once would hold the event loop.
    for (let start = from; start < target; start += 1000) {
      const end = Math.min(start + 1000, target);
      await this.#root.batch(() => {
        for (let r = start + 1; r <= end; r++) void this.#log.remove(r);
        void this.#meta.put("compacted", end);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    this.#failure ??= new StoreUnavailableError("the store is closed");
    this.#watchers.end();
    await this.#root.close();
  }

  async #flushAll(): Promise<void> {
    // One turn of the event loop, so that commits made together share a flush.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_BATCH);
      try {
        await this.#write(batch);
      } catch (error) {
        this.#fail(await causeOf(error), batch);
        break;
      }
      for (const commit of batch) this.#acknowledge(commit);
    }
    this.#flushing = undefined;
  }

  async #write(batch: readonly PendingCommit[]): Promise<void> {
    // Failures of the single puts reject the batch as well; they are handled there.
    await this.#root.batch(() => {
      for (const { revision, changes } of batch) {
        for (const [key, , after] of changes) {
          void (after === null ? this.#state.remove(key) : this.#state.put(key, after));
        }
        const log: LogRecord = changes.map(([key, before]) => [key, before]);
        void this.#log.put(revision, log);
      }
      void this.#meta.put("format", FORMAT);
      void this.#meta.put("revision", batch.at(-1)?.revision ?? this.#durableRevision);
    });
  }

  #acknowledge(commit: PendingCommit): void {
    this.#durableRevision = commit.revision;
    for (const [key] of commit.changes) {
      if (this.#unflushed.get(key)?.revision === commit.revision) this.#unflushed.delete(key);
    }
    this.#watchers.publish(commit.revision, eventsOf(commit.revision, commit.changes));
    commit.resolve({ kind: "committed", revision: commit.revision });
  }

  /** After a failed flush nobody knows what is on disk: refuse writes until the store is opened again. */
  #fail(error: unknown, batch: readonly PendingCommit[]): void {
    this.#failure = new StoreUnavailableError(
      `the store cannot write to its disk (${String(error)}); free space or mend the disk and start again`,
      { cause: error },
    );
    this.#unflushed.clear();
    for (const commit of [...batch, ...this.#queue]) commit.reject(this.#failure);
    this.#queue = [];
  }

  #recordOf(key: string): StateRecord | null {
    // Most writes are of new keys, of which memory knows that the disk has none.
    if (!this.#versions.has(key)) return null;
    const pending = this.#unflushed.get(key);
    return pending === undefined ? (this.#state.get(key) ?? null) : pending.record;
  }

  /** The events of each commit after one revision up to another, oldest first. */
  #changesAfter(after: number, last: number): readonly (readonly StoreEvent[])[] {
    // Backwards from the newest on disk, which may be behind `last`: a key's value before a change is what it
    // was after the change before that.
    const newer = new Map<string, StateRecord | null>();
    const commits: (readonly StoreEvent[])[] = [];
    for (const { key: revision, value } of Array.from(
      this.#log.getRange({ start: after + 1 }),
    ).reverse()) {
      const changes = value.map(([key, before]): Change => {
        const known = newer.get(key);
        const now = known === undefined ? (this.#state.get(key) ?? null) : known;
        newer.set(key, before);
        return [key, before, now];
      });
      if (revision <= last) commits.push(eventsOf(revision, changes));
    }
    return commits.reverse();
  }

  /** The present state with every later change taken back, newest first. */
  #stateAt(revision: number, start: string, end: string): Entry[] {
    const records = new Map<string, StateRecord>();
    for (const { key, value } of this.#state.getRange({ start, end })) records.set(key, value);
    const later = Array.from(this.#log.getRange({ start: revision + 1 }));
    for (const { value: changes } of later.reverse()) {
      for (const [key, before] of changes) {
        if (key < start || key >= end) continue;
        if (before === null) records.delete(key);
        else records.set(key, before);
      }
    }
    const keys = [...records.keys()].sort((a, b) => (a < b ? -1 : 1));
    return keys.flatMap((key) => {
      const record = records.get(key);
      return record === undefined ? [] : [entryOf(key, record)];
    });
  }
}

function entryOf(key: string, record: StateRecord): Entry {
  return { key, createRevision: record[0], modRevision: record[1], value: record[2] };
}

function eventsOf(revision: number, changes: readonly Change[]): readonly StoreEvent[] {
  return changes.flatMap(([key, before, after]): StoreEvent[] => {
    const previous = before === null ? undefined : entryOf(key, before);
    if (after !== null) return [{ kind: "put", entry: entryOf(key, after), previous }];
    return previous === undefined ? [] : [{ kind: "delete", key, revision, previous }];
  });
}

function keyOf(event: StoreEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

/** lmdb rejects with a general error that holds a second, rejected promise with the disk's own error. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function isStateRecord(value: unknown): value is StateRecord {
  return (
    Array.isArray(value) &&
    typeof value[0] === "number" &&
    typeof value[1] === "number" &&
    typeof value[2] === "string"
  );
}

/** The first key behind all keys that start with `prefix`. */
function endOf(prefix: string): string {
  return `${prefix}\uffff`;
}
