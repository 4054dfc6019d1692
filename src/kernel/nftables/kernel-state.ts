import {
  readAttributes,
  listAttributes,
  readText,
  readU32be,
  readU64be,
} from "../netlink/message-reader.ts";
import { NetlinkError } from "../netlink/netlink-socket.ts";
import type { NetlinkSocket } from "../netlink/netlink-socket.ts";
import { DUMP, FAMILY_NUMBER, MESSAGE, request } from "./batch.ts";
import type { TableFamily, TableRef } from "./batch.ts";

const HEADER = 4;
const NOTHING = new Uint8Array();
const MAX_TRIES = 5;
/** "counter" with its NUL. */
const COUNTER = Uint8Array.of(99, 111, 117, 110, 116, 101, 114, 0);

/** In a table's flags: packets do not run through it. */
export const DORMANT = 1;

export interface TableState extends TableRef {
  readonly flags: number;
  /** The text that `nft` shows as the table's comment; "" without one. */
  readonly comment: string;
  /** Port id of the socket that owns it now; undefined when anybody may change it. */
  readonly owner: number | undefined;
}

/** The number that every transaction of anybody raises by one. */
export function readGeneration(socket: NetlinkSocket): number {
  const { messages, failures } = socket.request(request(MESSAGE.getGeneration, 0, 0));
  const [answer] = messages;
  const generation =
    answer === undefined ? undefined : readU32be(readAttributes(answer.body, HEADER).get(1));
  if (generation === undefined) {
    throw new NetlinkError("nf_tables does not tell its generation", failures[0]?.errno ?? 0);
  }
  return generation;
}

/** All tables of the two families. */
export function listTables(socket: NetlinkSocket): readonly TableState[] {
  return dumpWhole(socket, request(MESSAGE.getTable, DUMP, 0), (body) => {
    const family = familyOf(body[0]);
    if (family === undefined) return undefined;
    const attributes = readAttributes(body, HEADER);
    return {
      family,
      name: readText(attributes.get(1)),
      flags: readU32be(attributes.get(2)) ?? 0,
      comment: commentOf(attributes.get(6)),
      owner: readU32be(attributes.get(7)),
    };
  });
}

/**
 * What `read` makes of each message of a list. The kernel counts how far it has come, so that a list may miss items
 * when somebody deletes others meanwhile: it is then listed again.
 */
function dumpWhole<T>(
  socket: NetlinkSocket,
  message: Uint8Array,
  read: (body: Uint8Array) => T | undefined,
): readonly T[] {
  for (let tries = 1; ; tries++) {
    const items: T[] = [];
    const isConsistent = socket.dump(message, ({ body }) => {
      const item = read(body);
      if (item !== undefined) items.push(item);
    });
    if (isConsistent || tries === MAX_TRIES) return items;
  }
}

/** What a table consists of, apart from its elements: enough to see whether somebody changed it. */
export interface TableShape {
  /** Chain name to a digest of its hook, its policy and its rules. */
  readonly chains: ReadonlyMap<string, string>;
  readonly sets: ReadonlySet<string>;
}

/** Costs as much as the family has chains, and the table rules. */
export function readShape(socket: NetlinkSocket, table: TableRef): TableShape {
  const family = FAMILY_NUMBER[table.family];
  const isOfTable = (attributes: ReadonlyMap<number, Uint8Array>): boolean =>
    readText(attributes.get(1)) === table.name;
  const ofTable = (type: number): Uint8Array =>
    request(type, DUMP, family, (w) => {
      w.text(1, table.name);
    });
  const chains = new Map<string, string>(
    dumpWhole(socket, request(MESSAGE.getChain, DUMP, family), (body) => {
      const attributes = readAttributes(body, HEADER);
      if (!isOfTable(attributes)) return undefined;
      const [hook = NOTHING, policy = NOTHING] = [attributes.get(4), attributes.get(5)];
      return [readText(attributes.get(3)), `${hook.join()} ${policy.join()}`] as const;
    }),
  );
  const rules = dumpWhole(socket, ofTable(MESSAGE.getRule), (body) => {
    const attributes = readAttributes(body, HEADER);
    if (!isOfTable(attributes)) return undefined;
    return [readText(attributes.get(2)), (attributes.get(4) ?? NOTHING).slice()] as const;
  });
  for (const [chain, expressions] of rules) {
    chains.set(chain, digest(chains.get(chain) ?? "", expressions));
  }
  const sets = dumpWhole(socket, ofTable(MESSAGE.getSet), (body) => {
    const attributes = readAttributes(body, HEADER);
    return isOfTable(attributes) ? readText(attributes.get(2)) : undefined;
  });
  return { chains, sets: new Set(sets) };
}

export interface Element {
  readonly key: Uint8Array;
  readonly data: Uint8Array | undefined;
  readonly timeoutMs: bigint | undefined;
  readonly expirationMs: bigint | undefined;
  /** Packets that matched, where the set counts. */
  readonly packets: bigint | undefined;
}

/**
 * Every element of a set. The bytes are valid during the call only. Costs as much as the set is large and,
 * for sets of a hundred thousand, more: the kernel walks anew for each datagram.
 * While the kernel moves a set's elements to a larger table, as it does after many additions, some may be missing or
 * come twice.
 */
export function dumpElements(
  socket: NetlinkSocket,
  table: TableRef,
  set: string,
  each: (element: Element) => void,
): void {
  const message = request(MESSAGE.getElement, DUMP, FAMILY_NUMBER[table.family], (w) => {
    w.text(1, table.name);
    w.text(2, set);
  });
  socket.dump(message, ({ body }) => {
    const list = readAttributes(body, HEADER).get(3);
    if (list === undefined) return;
    for (const [, item] of listAttributes(list)) each(elementOf(item));
  });
}

function elementOf(item: Uint8Array): Element {
  const attributes = readAttributes(item);
  return {
    key: valueOf(attributes.get(1)) ?? NOTHING,
    data: valueOf(attributes.get(2)),
    timeoutMs: readU64be(attributes.get(4)),
    expirationMs: readU64be(attributes.get(5)),
    packets: packetsOf(attributes.get(7)),
  };
}

function packetsOf(expression: Uint8Array | undefined): bigint | undefined {
  if (expression === undefined) return undefined;
  const attributes = readAttributes(expression);
  const data = attributes.get(2);
  return isCounter(attributes.get(1)) && data !== undefined
    ? readU64be(readAttributes(data).get(2))
    : undefined;
}

/** Without making a text of it: a scrape asks for each frontend. */
function isCounter(name: Uint8Array | undefined): boolean {
  return name?.length === COUNTER.length && COUNTER.every((byte, i) => name[i] === byte);
}

/** The bytes of a value; of a verdict its attributes, its code and its chain. */
function valueOf(data: Uint8Array | undefined): Uint8Array | undefined {
  if (data === undefined) return undefined;
  const attributes = readAttributes(data);
  return attributes.get(1) ?? attributes.get(2);
}

function commentOf(userData: Uint8Array | undefined): string {
  if (userData === undefined || userData[0] !== 0) return "";
  return readText(userData.subarray(2, 2 + (userData[1] ?? 0)));
}

function familyOf(number: number | undefined): TableFamily | undefined {
  return number === 2 ? "ip" : number === 10 ? "ip6" : undefined;
}

/** FNV-1a over what was before and the bytes; counters inside change with traffic and are left out. */
function digest(before: string, expressions: Uint8Array): string {
  let hash = 0x811c9dc5;
  const add = (byte: number): void => {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  };
  for (const char of before) add(char.charCodeAt(0));
  for (const [, expression] of listAttributes(expressions)) {
    if (readText(readAttributes(expression).get(1)) === "counter") add(1);
    else for (const byte of expression) add(byte);
  }
  return hash.toString(16);
}
