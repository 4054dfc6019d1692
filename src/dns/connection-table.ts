import { ipToBytes, parseIpAddress } from "../net/address.ts";

export interface ConnectionBounds {
  /** When one more comes, the one that was silent longest goes (RFC 7766 section 6.2.3). */
  readonly maxConnections: number;
  /** Of one IPv4 address or one /64 of IPv6, where likewise the longest silent goes; undefined: no bound. */
  readonly maxPerSource?: number | undefined;
}

/** What the table has to know of a connection. */
export interface TableEntry {
  readonly remoteAddress?: string | undefined;
  destroy(): void;
}

/** Answers that their askers do not take, of all connections; beyond, who took nothing for longest is cut off. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;

/** The open connections of a listener. It closes some so that neither their number nor their memory grows. */
export class ConnectionTable<T extends TableEntry> {
  readonly #bounds: ConnectionBounds;
  /** From the one that was silent longest to the one that spoke last, as in each of the sources' sets. */
  readonly #all = new Map<T, string>();
  readonly #bySource = new Map<string, Set<T>>();
  /** How much those hold that are full, from the one that is full longest. */
  readonly #unsent = new Map<T, number>();
  #unsentBytes = 0;

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
  }

  /** For who must have room for one more. */
  admit(connection: T): void {
    const { maxConnections, maxPerSource } = this.#bounds;
    const source = maxPerSource === undefined ? "" : sourceOf(connection.remoteAddress ?? "");
    const others = this.#bySource.get(source) ?? new Set();
    if (maxPerSource !== undefined && others.size >= maxPerSource) this.#close(first(others));
    if (this.#all.size >= maxConnections) this.#close(first(this.#all.keys()));
    this.#all.set(connection, source);
    if (maxPerSource !== undefined) this.#bySource.set(source, others.add(connection));
  }

  /** It spoke. */
  touch(connection: T): void {
    const source = this.#all.get(connection);
    if (source === undefined) return;
    this.#all.delete(connection);
    this.#all.set(connection, source);
    const others = this.#bySource.get(source);
    if (others?.delete(connection) === true) others.add(connection);
  }

  /** How many bytes it holds that its peer did not take, when it is full; else 0. */
  noteUnsent(connection: T, bytes: number): void {
    const before = this.#unsent.get(connection) ?? 0;
    if (bytes === before || (bytes > 0 && !this.#all.has(connection))) return;
    this.#unsentBytes += bytes - before;
    if (bytes === 0) this.#unsent.delete(connection);
    else this.#unsent.set(connection, bytes);
    while (this.#unsentBytes > MAX_UNSENT_BYTES) this.#close(first(this.#unsent.keys()));
  }

  /** It is closed. */
  remove(connection: T): void {
    this.noteUnsent(connection, 0);
    const source = this.#all.get(connection);
    this.#all.delete(connection);
    const others = source === undefined ? undefined : this.#bySource.get(source);
    others?.delete(connection);
    if (source !== undefined && others?.size === 0) this.#bySource.delete(source);
  }

  closeAll(): void {
    for (const connection of this.#all.keys()) this.#close(connection);
  }

  #close(connection: T | undefined): void {
    if (connection === undefined) throw new Error("a connection is counted that is not there");
    this.remove(connection);
    connection.destroy();
  }
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item;
  return undefined;
}

/** Whoever has one IPv6 address has its whole network of 64 bits. */
function sourceOf(address: string): string {
  const parsed = parseIpAddress(address);
  return parsed === undefined ? address : ipToBytes(parsed).slice(0, 8).join(".");
}
