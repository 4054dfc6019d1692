import { splitMessages } from "../netlink/message-reader.ts";
import { MessageWriter } from "../netlink/message-writer.ts";
import type { Expression, Verdict } from "./expression.ts";
import { writeVerdict } from "./expression.ts";

// Message and attribute numbers are those of linux/netfilter/nf_tables.h and nfnetlink.h.
const SUBSYSTEM = 10 << 8;
export const MESSAGE = {
  newTable: SUBSYSTEM | 0,
  getTable: SUBSYSTEM | 1,
  deleteTable: SUBSYSTEM | 2,
  newChain: SUBSYSTEM | 3,
  getChain: SUBSYSTEM | 4,
  newRule: SUBSYSTEM | 6,
  getRule: SUBSYSTEM | 7,
  newSet: SUBSYSTEM | 9,
  getSet: SUBSYSTEM | 10,
  newElement: SUBSYSTEM | 12,
  getElement: SUBSYSTEM | 13,
  deleteElement: SUBSYSTEM | 14,
  newGeneration: SUBSYSTEM | 15,
  getGeneration: SUBSYSTEM | 16,
} as const;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;

const REQUEST = 1;
export const DUMP = 0x300;
const CREATE = 0x400;
const APPEND = 0x800;

/** Family of an nf_tables table. */
export type TableFamily = "ip" | "ip6";
export const FAMILY_NUMBER: Readonly<Record<TableFamily, 2 | 10>> = { ip: 2, ip6: 10 };

export interface TableRef {
  readonly family: TableFamily;
  readonly name: string;
}

/** Only the owning socket may change the table; and the table stays when that socket is closed. */
export const OWNED = { owner: 2, persist: 4 } as const;

export const SET = {
  anonymous: 1,
  constant: 2,
  interval: 4,
  map: 8,
  timeout: 16,
  dynamic: 32,
} as const;
const CONCATENATION = 128;

export interface SetSpec {
  readonly name: string;
  /** Bits of {@link SET}. */
  readonly flags: number;
  /** What `nft` calls the parts of the key, for its listings. Each part takes its length, rounded up to 4. */
  readonly key: readonly DataType[];
  /** Parts of a map's data; `verdict` for a verdict map. */
  readonly data: readonly DataType[] | "verdict" | undefined;
  /** Most elements that the packet path may add. */
  readonly size?: number;
  /** Each element counts the packets that matched it. */
  readonly hasCounter?: boolean;
}

export type DataType = keyof typeof DATA_TYPES;

/** Number that nft gives to the type, and length in bytes. */
const DATA_TYPES = {
  ipv4_addr: [7, 4],
  ipv6_addr: [8, 16],
  inet_proto: [12, 1],
  inet_service: [13, 2],
  mark: [19, 4],
  classid: [23, 4],
} as const;
/** Kind of user data, its length, and 1 for the machine's order. */
const KEY_IN_HOST_ORDER = [0, 4, 1, 0, 0, 0];
const DATA_IN_HOST_ORDER = [1, 4, 1, 0, 0, 0];
const VERDICT_TYPE = 0xffff_ff00;

export interface BaseChain {
  readonly type: "nat" | "filter";
  /** Number of the hook: 0 prerouting, 2 forward, 3 output, 4 postrouting. */
  readonly hook: number;
  readonly priority: number;
}

/** First bytes of every netfilter message. */
export function familyHeader(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 0xff);
}

/** Bytes of the messages that a batch begins and ends with. */
const ENVELOPE = 20;

/**
 * A transaction of nf_tables: all of it happens at once, or nothing does. The messages' numbers begin with 1,
 * that of the batch's begin; by them the kernel says which one it refuses.
 */
export class Batch {
  readonly #writer = new MessageWriter();
  #sequence = 0;

  constructor() {
    this.#message(BATCH_BEGIN, 0, familyHeader(0, SUBSYSTEM >> 8));
  }

  get size(): number {
    return this.#writer.length;
  }

  newTable(table: TableRef, flags: number, comment: string): void {
    this.#nft(MESSAGE.newTable, CREATE, table.family, (w) => {
      w.text(1, table.name);
      w.u32be(2, flags);
      // User data: type 0 (comment), length, text.
      const text = Uint8Array.from(`${comment}\0`, (c) => c.charCodeAt(0));
      w.binary(6, Uint8Array.of(0, text.length, ...text));
    });
  }

  deleteTable(table: TableRef): void {
    this.#nft(MESSAGE.deleteTable, 0, table.family, (w) => {
      w.text(1, table.name);
    });
  }

  newChain(table: TableRef, name: string, base?: BaseChain): void {
    this.#nft(MESSAGE.newChain, CREATE, table.family, (w) => {
      w.text(1, table.name);
      w.text(3, name);
      if (base === undefined) return;
      const hook = w.begin(4);
      w.u32be(1, base.hook);
      w.u32be(2, base.priority);
      w.end(hook);
      w.text(7, base.type);
    });
  }

  newRule(table: TableRef, chain: string, expressions: readonly Expression[]): void {
    this.#nft(MESSAGE.newRule, CREATE | APPEND, table.family, (w) => {
      w.text(1, table.name);
      w.text(2, chain);
      const list = w.begin(4);
      for (const expression of expressions) {
        const item = w.begin(1);
        expression(w);
        w.end(item);
      }
      w.end(list);
    });
  }

  newSet(table: TableRef, set: SetSpec, id: number): void {
    this.#nft(MESSAGE.newSet, CREATE, table.family, (w) => {
      const isConcatenation = set.key.length > 1;
      const concatFlag = isConcatenation && (set.flags & SET.interval) !== 0 ? CONCATENATION : 0;
      w.text(1, table.name);
      w.text(2, set.name);
      w.u32be(3, set.flags | concatFlag);
      w.u32be(4, typeOf(set.key));
      w.u32be(5, lengthOf(set.key));
      if (set.data === "verdict") {
        w.u32be(6, VERDICT_TYPE);
        w.u32be(7, 0);
      } else if (set.data !== undefined) {
        w.u32be(6, typeOf(set.data));
        w.u32be(7, lengthOf(set.data));
      }
      w.u32be(10, id);
      // User data by which nft lists numbers the right way round.
      const userData = [
        ...(isNumber(set.key) ? KEY_IN_HOST_ORDER : []),
        ...(isNumber(set.data) ? DATA_IN_HOST_ORDER : []),
      ];
      if (userData.length > 0) w.binary(13, Uint8Array.from(userData));
      if (concatFlag !== 0 || set.size !== undefined) {
        const description = w.begin(9);
        if (set.size !== undefined) w.u32be(1, set.size);
        if (concatFlag !== 0) {
          const fields = w.begin(2);
          for (const part of set.key) {
            const field = w.begin(1);
            w.u32be(1, paddedLength(part));
            w.end(field);
          }
          w.end(fields);
        }
        w.end(description);
      }
      if (set.hasCounter === true) {
        const expression = w.begin(17);
        w.text(1, "counter");
        w.end(w.begin(2));
        w.end(expression);
      }
    });
  }

  /** Elements of a verdict map, by 32-bit key. */
  addVerdicts(table: TableRef, map: string, verdicts: Iterable<readonly [number, Verdict]>): void {
    this.#nft(MESSAGE.newElement, CREATE, table.family, (w) => {
      w.text(1, table.name);
      w.text(2, map);
      const list = w.begin(3);
      for (const [key, verdict] of verdicts) {
        const item = w.begin(1);
        const keyStart = w.begin(1);
        w.u32(1, key);
        w.end(keyStart);
        const dataStart = w.begin(2);
        writeVerdict(w, verdict);
        w.end(dataStart);
        w.end(item);
      }
      w.end(list);
    });
  }

  /** Messages that {@link ElementWriter} made, in its order. */
  addMessages(messages: Uint8Array): void {
    for (const message of splitMessages(messages)) {
      this.#sequence++;
      this.#writer.message(message, this.#sequence);
    }
  }

  /** The whole batch. The kernel answers only what it refuses. */
  finish(): Uint8Array {
    this.#message(BATCH_END, 0, familyHeader(0, SUBSYSTEM >> 8));
    return this.#writer.bytes();
  }

  /**
   * The same as several batches of at most `limit` bytes each, unless a single message has more: what is in different
   * ones does not happen at once.
   */
  finishInParts(limit: number): readonly Uint8Array[] {
    const whole = this.finish();
    if (whole.length <= limit) return [whole];
    const begin = whole.subarray(0, ENVELOPE);
    const end = whole.subarray(whole.length - ENVELOPE);
    const parts: Uint8Array[] = [];
    let from = ENVELOPE;
    let to = ENVELOPE;
    const close = (): void => {
      if (to > from) parts.push(Buffer.concat([begin, whole.subarray(from, to), end]));
      from = to;
    };
    for (const message of splitMessages(whole.subarray(ENVELOPE, whole.length - ENVELOPE))) {
      if (to - from + message.length + 2 * ENVELOPE > limit) close();
      to += message.length;
    }
    close();
    return parts;
  }

  #nft(
    type: number,
    flags: number,
    family: TableFamily,
    body: (writer: MessageWriter) => void,
  ): void {
    this.#message(type, flags, familyHeader(FAMILY_NUMBER[family]), body);
  }

  #message(
    type: number,
    flags: number,
    header: Uint8Array,
    body: (writer: MessageWriter) => void = () => undefined,
  ): void {
    this.#sequence++;
    const start = this.#writer.beginMessage(type, REQUEST | flags, this.#sequence);
    this.#writer.raw(header);
    body(this.#writer);
    this.#writer.endMessage(start);
  }
}

/** A request outside of a transaction: a get, or with {@link DUMP} a list. */
export function request(
  type: number,
  flags: number,
  family: number,
  body: (writer: MessageWriter) => void = () => undefined,
): Uint8Array {
  const writer = new MessageWriter();
  const start = writer.beginMessage(type, REQUEST | flags, 1);
  writer.raw(familyHeader(family));
  body(writer);
  writer.endMessage(start);
  return writer.bytes();
}

/** Room that a part of a key or of data takes. */
export function paddedLength(type: DataType): number {
  return (DATA_TYPES[type][1] + 3) & ~3;
}

export function lengthOf(parts: readonly DataType[]): number {
  if (parts.length === 1) return parts.reduce((sum, part) => sum + DATA_TYPES[part][1], 0);
  return parts.reduce((sum, part) => sum + paddedLength(part), 0);
}

function isNumber(parts: SetSpec["data"]): boolean {
  return parts !== undefined && parts !== "verdict" && parts.join() === "classid";
}

/** nft packs the types of a concatenation into one number, six bits each. */
function typeOf(parts: readonly DataType[]): number {
  return parts.reduce((sum, part) => (sum << 6) | DATA_TYPES[part][0], 0);
}
