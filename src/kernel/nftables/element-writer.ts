import { MessageWriter } from "../netlink/message-writer.ts";
import { FAMILY_NUMBER, familyHeader, MESSAGE } from "./batch.ts";
import type { TableRef } from "./batch.ts";

const REQUEST = 1;
const CREATE = 0x400;
/** An attribute ends at 64 KiB; this leaves room for one more element. */
const MAX_LIST = 60_000;

const INTERVAL_END = 1;

/** A timed element's whole time and what is left of it. */
export interface ElementTime {
  readonly timeoutMs: bigint;
  readonly expirationMs: bigint;
}

/** Writes the elements of one set or map into as few messages as they need, all additions or all deletions. */
export class ElementWriter {
  readonly #writer = new MessageWriter();
  readonly #kind: "add" | "delete";
  readonly #table: TableRef;
  readonly #set: string;
  #message = -1;
  #list = -1;

  constructor(kind: "add" | "delete", table: TableRef, set: string) {
    this.#kind = kind;
    this.#table = table;
    this.#set = set;
  }

  get size(): number {
    return this.#writer.length;
  }

  /** An element; `data` for a map, `keyEnd` for a range of a concatenation. The bytes are copied. */
  add(key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array, time?: ElementTime): void {
    const w = this.#writer;
    this.#open();
    const item = w.begin(1);
    value(w, 1, key);
    if (keyEnd !== undefined) value(w, 10, keyEnd);
    if (data !== undefined) value(w, 2, data);
    if (time !== undefined) {
      w.u64be(4, time.timeoutMs);
      w.u64be(5, time.expirationMs);
    }
    w.end(item);
    this.#close();
  }

  /** A range [`first`, `end`) of a set whose key is one number; `end` undefined: to the highest. */
  addRange(first: Uint8Array, end: Uint8Array | undefined): void {
    const w = this.#writer;
    this.#open();
    const item = w.begin(1);
    value(w, 1, first);
    w.end(item);
    if (end !== undefined) {
      const last = w.begin(1);
      w.u32be(3, INTERVAL_END);
      value(w, 1, end);
      w.end(last);
    }
    this.#close();
  }

  /** The messages; the writer is then done. */
  finish(): Uint8Array {
    this.#end();
    return this.#writer.bytes();
  }

  #open(): void {
    if (this.#message !== -1) return;
    const w = this.#writer;
    const isAdd = this.#kind === "add";
    const type = isAdd ? MESSAGE.newElement : MESSAGE.deleteElement;
    this.#message = w.beginMessage(type, REQUEST | (isAdd ? CREATE : 0), 0);
    w.raw(familyHeader(FAMILY_NUMBER[this.#table.family]));
    w.text(1, this.#table.name);
    w.text(2, this.#set);
    this.#list = w.begin(3);
  }

  #close(): void {
    if (this.#writer.length - this.#list > MAX_LIST) this.#end();
  }

  #end(): void {
    if (this.#message === -1) return;
    this.#writer.end(this.#list);
    this.#writer.endMessage(this.#message);
    this.#message = -1;
  }
}

function value(writer: MessageWriter, type: number, bytes: Uint8Array): void {
  const start = writer.begin(type);
  writer.binary(1, bytes);
  writer.end(start);
}
